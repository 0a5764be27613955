// Package redact takes credentials out of texts that were not meant to hold any: what somebody has put into the wrong place, and
// what others quote of what they were sent. It is a net below code that does not let a secret into a text in the first place.
package redact

import (
	"regexp"
	"strings"
	"sync"
)

// credential finds what is certainly a credential, wherever someone has put it by mistake:
// Shopify's own and a client's key, by their prefixes, the user part of a URL, and a password among its parameters. A password
// in which a slash or an at sign is not escaped ends at the last at sign before a space.
var credential = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`(?i)\b(?:shp[a-z]{2,3}|atkn|evg)_[0-9a-z_-]{4,}|//\S*:\S*@|//[^/@\s]+@|[?&][a-z_]*password=[^&\s]+`)
})

// Text is a text for people without the credentials in it.
func Text(s string) string {
	if !mayHold(s) {
		return s
	}
	return credential().ReplaceAllStringFunc(s, func(found string) string {
		switch found[0] {
		case '/':
			if isTemplate(found) {
				return found
			}
			return "//[redacted]@"
		case '?', '&':
			return found[:strings.IndexByte(found, '=')+1] + "[redacted]"
		}
		return "[redacted]"
	})
}

// isTemplate reports the user part with which our own advice shows how an address is written. It is that letter for letter: whoever has put
// anything of their own there has put a secret there.
func isTemplate(user string) bool { return user == "//USER:PASSWORD@" || user == "//USER@" }

// mayHold spares the expression most texts: each credential has an underscore, an at sign or an equals sign in it.
func mayHold(s string) bool { return strings.ContainsAny(s, "_@=") }
