// Package brief bounds the length of texts that others may have a hand in, before they are logged,
// shown or kept.
package brief

import (
	"fmt"
	"strings"
)

// Text is s if it has at most `most` bytes, else its beginning and how long it was. No character is cut in two.
func Text(s string, most int) string {
	if len(s) <= most {
		return s
	}
	return strings.ToValidUTF8(s[:most], "") + fmt.Sprintf("… (%d bytes)", len(s))
}
