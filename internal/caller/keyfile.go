package caller

import (
	"encoding/hex"
	"strings"

	"evergate/internal/plain"
	"evergate/internal/token"
)

// KeyLine is what a file of keys says of one key.
type KeyLine struct {
	Name   string
	Policy string       // empty: that of the name
	Shops  []token.Shop // nil: all
	Digest string       // SHA-256 of the key, in hexadecimal digits
}

// ReadKeys reads a file of keys. The error joins every mistake, as the sidecar would report it.
func ReadKeys(text []byte) ([]KeyLine, error) {
	ring, err := parseKeys(text)
	if err != nil {
		return nil, err
	}
	lines := make([]KeyLine, len(ring.keys))
	for i, k := range ring.keys {
		lines[i] = KeyLine{k.name, k.policy, k.shops, hex.EncodeToString(k.digest[:])}
	}
	return lines, nil
}

// WithoutKeys is a file of keys without those of a name whose digest begins with the given digits. Comments and what
// cannot be read stay as they are.
func WithoutKeys(text []byte, name, digits string) (rest []byte, removed int) {
	plainText, _ := plain.Text(string(text)) // a mark before the first name would keep it from being found
	for line := range strings.Lines(plainText) {
		fields := strings.Fields(line)
		if len(fields) > 1 && fields[0] == name && strings.HasPrefix(strings.ToLower(fields[1]), digestPrefix+strings.ToLower(digits)) {
			removed++
			continue
		}
		rest = append(rest, line...)
	}
	return rest, removed
}

// verbs are no names for a key: whoever writes `evergate key VERB` means to do something with keys.
var verbs = []string{"add", "create", "delete", "disable", "enable", "generate", "get", "help", "list", "ls", "make", "new", "print", "remove", "revoke", "rm", "rotate", "show", "update"}
