// Package caller says who sends a request: by the key that it shows, the certificate of its
// connection, or what the kernel knows of the process at the other end of a Unix socket.
//
// Invariants:
//
//   - A caller's name is from the configuration, or Anonymous or Other: a closed list, fit for
//     the label of a metric.
//   - Of a connection about which nothing can be learnt, nothing is taken for granted.
//   - Keys rest as SHA-256 only. What is taken out of a file that is read again ends at once, on
//     open connections too.
//   - A request takes no lock here.
package caller

import (
	"net/http"
	"regexp"
	"slices"
	"strings"
	"sync"

	"evergate/internal/denial"
	"evergate/internal/shopify"
	"evergate/internal/token"
)

// The names of callers that the configuration has no name for. They are values of a metric's
// label like the configured ones.
const (
	// Anonymous has not said who it is.
	Anonymous = "anonymous"
	// Other has shown a certificate of the right authority with a name that is nowhere configured.
	Other = "other"
)

// Caller is who sent a request.
type Caller struct {
	// Name is from the configuration, or Anonymous or Other.
	Name string
	// Key is equal for the requests that should share one fair share: of an authenticated
	// caller, else of a user at a Unix socket, else of a connection. It can be compared
	// and be a map's key; nil when http.Server did not make the request with ConnContext.
	Key any
	// Known says that the caller has said who it is.
	Known bool

	key *clientKey // that it has shown; nil: none
}

// MayUse reports whether the caller may call this shop.
func (c Caller) MayUse(shop token.Shop) bool {
	return c.key == nil || c.key.shops == nil || slices.Contains(c.key.shops, shop)
}

// Policy is the policy that the caller's key names; empty: none, so its name decides.
func (c Caller) Policy() string {
	if c.key == nil {
		return ""
	}
	return c.key.policy
}

// Compiled when the first name is read: the repetition makes it expensive to compile.
var namePattern = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._:/@+-]{0,127}$`) })

// IsName reports whether a caller can have this name: agent, agent.example.com,
// spiffe://example.com/agent. The last two are what a certificate can name.
func IsName(name string) bool { return namePattern().MatchString(name) }

// isOwnName also refuses the reserved names, those of certificates among them, and one with the colon behind it that other
// formats have there: no policy would be found for it.
func isOwnName(name string) bool {
	return IsName(name) && !strings.HasSuffix(name, ":") && name != Anonymous && name != Other && !strings.HasPrefix(name, certPrefix)
}

// Stranger is the answer to somebody of whom nobody knows who it is, where that matters.
func Stranger() error {
	return denial.New(http.StatusForbidden, denial.CodeUnauthenticated,
		"Evergate has to know who calls here. Send a key of yours, evg_..., as Authorization: Bearer or as "+shopify.HeaderAccessToken+", "+
			"or connect with a client certificate. evergate key makes keys.")
}

// StrangerCommands is the answer to an order from somebody of whom nobody knows who it is.
func StrangerCommands() error {
	return denial.New(http.StatusForbidden, denial.CodeUnauthenticated,
		"Evergate has to know who gives it orders, because it has to know who calls. Send a key, evg_..., as Authorization: Bearer; "+
			"evergate quit sends EVERGATE_ADMIN_KEY. Or have EVERGATE_ADMIN_LISTEN be a Unix socket. evergate key makes keys.")
}
