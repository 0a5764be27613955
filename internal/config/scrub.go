package config

import (
	"errors"
	"regexp"
	"strings"
	"sync"

	"evergate/internal/remedy"
)

// credential finds what is certainly a credential, wherever someone has put it by mistake:
// Shopify's own and a client's key, by their prefixes, the user part of a URL, and a password among its parameters.
var credential = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`(?i)\b(?:shp[a-z]{2,3}|atkn|evg)_[0-9a-z_-]{4,}|//[^/@\s]+@|[?&][a-z_]*password=[^&\s]+`)
})

// scrub takes credentials out of a text for people.
func scrub(s string) string {
	return credential().ReplaceAllStringFunc(s, func(found string) string {
		switch found[0] {
		case '/':
			return "//[redacted]@"
		case '?', '&':
			return found[:strings.IndexByte(found, '=')+1] + "[redacted]"
		}
		return "[redacted]"
	})
}

// hushed is an error that does not repeat a credential, whatever it was made from.
type hushed struct{ err error }

func (h hushed) Error() string { return scrub(h.err.Error()) }
func (h hushed) Unwrap() error { return h.err }

// hush hushes each of the errors that err joins.
func hush(err error) error {
	var all []error
	for _, e := range remedy.All(err) {
		all = append(all, hushed{e})
	}
	return errors.Join(all...)
}

// Hush takes credentials out of what each of the errors says that err joins. It is for those that are reported in another way
// than by Load.
func Hush(err error) error { return hush(err) }
