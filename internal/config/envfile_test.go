package config

import (
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
)

func TestAnEnvFileIsReadAsComposeSystemdAndShellsReadIt(t *testing.T) {
	t.Parallel()
	got, err := parseEnvFile("\uFEFF# an app's own file\r\nSHOPIFY_SHOP=acme\r\n\n  export SHOPIFY_CLIENT_ID=\"abc\"  \nSHOPIFY_CLIENT_SECRET='shpss_$a\\b #c'\n"+
		"DATABASE_URL=postgres://x\nEVERGATE_LISTEN=\nhttps_proxy=http://proxy:3128\n#EVERGATE_PACE=off\nOTEL_SDK_DISABLED=true", "f")
	want := []string{"SHOPIFY_SHOP=acme", "SHOPIFY_CLIENT_ID=abc", `SHOPIFY_CLIENT_SECRET=shpss_$a\b #c`, "EVERGATE_LISTEN=", "https_proxy=http://proxy:3128", "OTEL_SDK_DISABLED=true"}
	if err != nil || !slices.Equal(got, want) {
		t.Errorf("%q, %v", got, err)
	}
}

func TestALineThatProgramsReadDifferentlyIsRefused(t *testing.T) {
	t.Parallel()
	const secret = "shpss_b1946ac92492d234"
	for line, want := range map[string]string{
		"SHOPIFY_CLIENT_SECRET = " + secret:                 "without a space before",
		"SHOPIFY_CLIENT_SECRET= " + secret:                  "space behind the equals sign",
		"SHOPIFY_CLIENT_SECRET=" + secret + " # the secret": "line of its own",
		"SHOPIFY_CLIENT_SECRET=${" + secret + "}":           "variables are not replaced",
		"SHOPIFY_CLIENT_SECRET=\"$" + secret + "\"":         "variables are not replaced",
		"SHOPIFY_CLIENT_SECRET=\"" + secret:                 "quotation marks",
		"SHOPIFY_CLIENT_SECRET='" + secret + "'x":           "quotation marks",
		"SHOPIFY_CLIENT_SECRET='a'b'":                       "quotation marks",
		"SHOPIFY_CLIENT_SECRET='":                           "quotation marks",
		"SHOPIFY_CLIENT_SECRET=" + secret + `\`:             "some programs drop",
		"SHOPIFY_CLIENT_SECRET=" + secret + "\u200b":        "cannot be seen",
		"SHOPIFY_CLIENT_SECRET: " + secret:                  "no equals sign",
		"set SHOPIFY_SHOP=acme":                             "is no name",
		secret:                                              "no equals sign",
		"=x":                                                "is no name",
		"shopify_client_secret=" + secret:                   "write it in capitals",
		"Evergate_Listen=x":                                 "write it in capitals",
		"1A=x":                                              "is no name",
	} {
		_, err := parseEnvFile("SHOPIFY_SHOP=acme\n"+line, "my.env")
		if err == nil || !strings.Contains(err.Error(), want) || !strings.HasPrefix(err.Error(), "my.env, line 2: ") || strings.Contains(err.Error(), "b1946") {
			t.Errorf("%q: %v", line, err)
		}
	}
	if _, err := parseEnvFile("SHOPIFY_SHOP=a\n#\nSHOPIFY_SHOP=b\nx", "f"); err == nil || !strings.Contains(err.Error(), "line 3: SHOPIFY_SHOP is set on line 1") || !strings.Contains(err.Error(), "line 4:") {
		t.Errorf("not every mistake is named: %v", err)
	}
}

// TestWhatGoesBeforeAFileIsASettingWithBothItsNames: a setting is NAME or NAME_FILE.
func TestWhatGoesBeforeAFileIsASettingWithBothItsNames(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct{ environ, more, want string }{
		{"SHOPIFY_CLIENT_SECRET_FILE=/run/secret", "SHOPIFY_CLIENT_SECRET=shpss_1 SHOPIFY_SHOP=acme", "SHOPIFY_SHOP=acme"},
		{"SHOPIFY_CLIENT_SECRET=shpss_2", "SHOPIFY_CLIENT_SECRET_FILE=/run/secret", ""},
		{"SHOPIFY_CLIENT_SECRET_FILE=", "SHOPIFY_CLIENT_SECRET=shpss_1", "SHOPIFY_CLIENT_SECRET=shpss_1"},
		{"SHOPIFY_CLIENT_ID_FILE=/run/id", "SHOPIFY_CLIENT_ID=1", ""},
		{"EVERGATE_UPSTREAM_PROXY=http://proxy:1", "EVERGATE_UPSTREAM_PROXY_FILE=/run/proxy", ""},
		{"EVERGATE_POLICY=read-only", "EVERGATE_POLICY_FILE=/etc/policy.json", "EVERGATE_POLICY_FILE=/etc/policy.json"}, // two settings
	} {
		if got := strings.Join(Beneath(strings.Fields(tc.environ), strings.Fields(tc.more)), " "); got != tc.want {
			t.Errorf("%s before %s: %q, want %q", tc.environ, tc.more, got, tc.want)
		}
	}
}

func TestAnEnvFileThatIsNone(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	utf16 := filepath.Join(dir, "utf16")
	if err := os.WriteFile(utf16, []byte("\xff\xfeS\x00H\x00"), 0o600); err != nil {
		t.Fatal(err)
	}
	large := filepath.Join(dir, "large")
	if err := os.WriteFile(large, make([]byte, largestEnvFile+1), 0o600); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{dir: "not such a file", filepath.Join(dir, "missing"): "no such file or directory: name one that is there; `evergate init` writes one", "": "there is no file", utf16: "UTF-8", large: "not such a file"} {
		if _, _, err := ReadEnvFile(path); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", path, err)
		}
	}
}

func TestAnEnvFileWithASecretThatOthersCanRead(t *testing.T) {
	t.Parallel()
	if runtime.GOOS == "windows" {
		t.Skip("a mode says nothing on Windows")
	}
	path := filepath.Join(t.TempDir(), "env")
	for text, want := range map[string]bool{"SHOPIFY_CLIENT_SECRET=shpss_x": true, "SHOPIFY_SHOP=acme": false} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		for mode, open := range map[os.FileMode]bool{0o600: false, 0o640: true, 0o604: true} {
			if err := os.Chmod(path, mode); err != nil {
				t.Fatal(err)
			}
			if _, warning, err := ReadEnvFile(path); err != nil || (warning != nil) != (want && open) {
				t.Errorf("%s with mode %o: %v, %v", text, mode, warning, err)
			}
		}
	}
}

func FuzzEnvFile(f *testing.F) {
	for _, seed := range []string{"SHOPIFY_SHOP=acme\n", "export A='b'\r\n", "A=\"b\n", "SHOPIFY_X=$y", "\xff\xfe"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		environ, err := parseEnvFile(text, "f")
		if err != nil {
			return
		}
		for _, e := range environ {
			name, value, ok := strings.Cut(e, "=")
			if !ok || !isVariable(name) || strings.ContainsAny(value, "\r\n\x00") {
				t.Fatalf("%q of %q", e, text)
			}
			// What is read can be written, and is read again as it was, unless it holds both quotation marks and more.
			if line, err := EnvLine(name, value); err == nil {
				if again, err := parseEnvFile(line+"\n", "f"); err != nil || !slices.Equal(again, []string{e}) {
					t.Fatalf("%q became %q, %v", e, again, err)
				}
			}
		}
	})
}

func TestTheDefaultAddressForOperatorsIsThatOfItsSetting(t *testing.T) {
	t.Parallel()
	for _, s := range settings() {
		if s.name == "EVERGATE_ADMIN_LISTEN" && s.defaultValue != DefaultAdmin {
			t.Errorf("%s, not %s", s.defaultValue, DefaultAdmin)
		}
	}
}
