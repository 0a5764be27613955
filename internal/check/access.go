package check

import (
	"context"
	"time"

	"evergate/internal/access"
)

// Access says who may do what, and looks at the certificate that clients are shown.
func Access(a *access.Access) Check {
	return Check{Name: "access", Needs: []string{"configuration"}, Run: func(context.Context) []Result {
		results := ok("%s", a.Summary())
		ends, there := a.CertificateEnds()
		left := time.Until(ends)
		switch {
		case there && left < 0:
			results = append(results, fail("put a new one into EVERGATE_TLS_CERT_FILE and EVERGATE_TLS_KEY_FILE", "the certificate of the tls: listeners ended on %s", stamp(ends))...)
		case there && left < nearEnd:
			results = append(results, warn("put a new one into EVERGATE_TLS_CERT_FILE and EVERGATE_TLS_KEY_FILE soon", "the certificate of the tls: listeners ends on %s", stamp(ends))...)
		}
		return results
	}}
}
