package shopify

import (
	"testing"

	"evergate/internal/token"
)

func TestCredentialsAreToldByTheirPrefix(t *testing.T) {
	t.Parallel()
	for value, want := range map[string]Credential{
		"shpss_0123456789abcdef0123456789abcdef": ClientSecret,
		"shprt_0123":                             RefreshToken,
		"shptka_0123":                            ThemeAccessPassword,
		"atkn_0123":                              AutomationToken,
		"shpat_0123":                             AccessToken,
		"shpca_0123":                             CustomAppToken,
		"shppa_0123":                             PrivateAppPassword,
		"shpua_0123":                             OnlineToken,
		"0123456789abcdef0123456789abcdef":       UnknownCredential,
		"SHPAT_0123":                             UnknownCredential,
		"shpzz_0123":                             UnknownCredential,
		"":                                       UnknownCredential,
	} {
		if got := CredentialOf(token.NewSecret(value)); got != want {
			t.Errorf("%q: %d, want %d", value, got, want)
		}
	}
	for c := UnknownCredential + 1; int(c) < len(credentials); c++ {
		if c.Prefix() == "" || c.String() == "" {
			t.Errorf("%d has no prefix or no name", c)
		}
	}
}
