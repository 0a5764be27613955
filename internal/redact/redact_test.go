package redact

import "testing"

func TestCredentialsAreTakenOut(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"":                           "",
		"nothing to hide":            "nothing to hide",
		"a token begins with shpat_": "a token begins with shpat_",
		"EVERGATE_STORE names a@b":   "EVERGATE_STORE names a@b",
		"open /run/shpss_0123456789abcdef: no such file":  "open /run/[redacted]: no such file",
		"SHPAT_0123456789,shprt_ABCDEFGH atkn_a-b_c.d":    "[redacted],[redacted] [redacted].d",
		"a client's evg_0123456789":                       "a client's [redacted]",
		"http://user@127.0.0.1:1/a and b@c":               "http://[redacted]@127.0.0.1:1/a and b@c",
		"postgres://user:pass@host/db?sslmode=require":    "postgres://[redacted]@host/db?sslmode=require",
		`redis://user:p"ss/w+rd=7&x@[::1/0 is no address`: "redis://[redacted]@[::1/0 is no address",
		"redis://user:p@ss/word@host/0":                   "redis://[redacted]@host/0",
		"redis://host?sentinel_password=x/y&addr=b":       "redis://host?sentinel_password=[redacted]&addr=b",
		"https://127.0.0.1:8080/admin/api":                "https://127.0.0.1:8080/admin/api",

		// How an address is written is no secret; what is nearly written so may be one.
		"write redis://USER:PASSWORD@HOST:PORT/DATABASE, or":         "write redis://USER:PASSWORD@HOST:PORT/DATABASE, or",
		"as in postgres://USER@HOST1,HOST2/DATABASE":                 "as in postgres://USER@HOST1,HOST2/DATABASE",
		"redis://user:password@HOST":                                 "redis://[redacted]@HOST",
		"redis://USER:hunter2@HOST":                                  "redis://[redacted]@HOST",
		"redis://USER:PASSWORD@hunter2@HOST":                         "redis://[redacted]@HOST",
		"redis://PASSWORD@HOST":                                      "redis://[redacted]@HOST",
		"redis://USER:PASSWORD@HOST?sentinel_password=hunter2&addr=": "redis://USER:PASSWORD@HOST?sentinel_password=[redacted]&addr=",
	} {
		got := Text(text)
		if got != want || Text(got) != got {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
}
