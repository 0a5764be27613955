package caller

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"sync"

	"evergate/internal/ascii"
	"evergate/internal/denial"
	"evergate/internal/plain"
	"evergate/internal/remedy"
	"evergate/internal/request"
	"evergate/internal/shopify"
	"evergate/internal/token"
)

const (
	// keyPrefix tells a client's key from a token of Shopify's, which many tools send because
	// they must send something.
	keyPrefix = "evg_"
	// keyLength is that of the prefix and of 32 bytes in base64.
	keyLength = len(keyPrefix) + 43
	// mostKeys bounds the file, and with it the number of names in a metric's label.
	mostKeys = 1000

	digestPrefix = "sha256:"
)

// clientKey is one line of the file of keys.
type clientKey struct {
	name   string
	shares any // name, as Caller.Key has it; made once, because each request needs it
	// digest is SHA-256 of the key. A slow hash, as for passwords, would be of no use: a key
	// is 256 random bits, and nobody can try so many; it would only slow down every request.
	digest [sha256.Size]byte
	shops  []token.Shop // nil: all
	policy string       // empty: that of the caller's name
}

// keyring is all keys. It is immutable.
type keyring struct {
	keys     []*clientKey
	byDigest map[[sha256.Size]byte]*clientKey
	names    map[string]bool
}

// find returns the key that was presented; nil: there is none such. It is looked up by its
// digest. How long that takes can tell something of the digest of what was presented, and
// nothing of a key: nobody can choose 256 random bits by a part of their SHA-256.
func (ring *keyring) find(presented string) *clientKey {
	if len(presented) != keyLength {
		return nil
	}
	var buf [keyLength]byte
	copy(buf[:], presented)
	return ring.byDigest[sha256.Sum256(buf[:])]
}

// keyOf is the key of a request: the one that it carries, else the one with which its tunnel was opened; nil: none.
func (ring *keyring) keyOf(fields request.Fields, conn *connection) (*clientKey, error) {
	presented, err := presentedKey(fields)
	var k *clientKey
	switch {
	case err != nil:
		return nil, err
	case presented != "":
		k = ring.find(presented)
	case conn != nil && conn.digest != nil:
		k = ring.byDigest[*conn.digest]
	default:
		return nil, nil
	}
	if k == nil {
		return nil, wrongKey()
	}
	return k, nil
}

// presentedKey returns the key that a request carries: as a bearer token, as the user name or the
// password of a URL, where Shopify's token goes for tools that can set nothing else, or towards a
// forward proxy, which we are to some. Each may hold something else, which is no key; two keys are
// refused, because they may be two callers.
func presentedKey(h request.Fields) (key string, _ error) {
	take := func(found string) bool {
		if !strings.HasPrefix(found, keyPrefix) {
			return true
		}
		other := key != "" && key != found
		key = found
		return !other
	}
	for _, name := range [...]string{"Authorization", "Proxy-Authorization"} {
		for _, value := range h.Values(name) {
			if !take(credential(value)) {
				return "", twoKeys()
			}
		}
	}
	for _, value := range h.Values(shopify.HeaderAccessToken) {
		if !take(strings.TrimSpace(value)) {
			return "", twoKeys()
		}
	}
	return key, nil
}

// credential is what a value of Authorization carries: a bearer token, or of Basic (RFC 7617) the user name, or
// the password where there is no user name. Empty: nothing that could be a key.
func credential(value string) string {
	scheme, rest, _ := strings.Cut(value, " ")
	rest = strings.TrimSpace(rest)
	switch {
	case ascii.EqualFold(scheme, "Bearer"):
		return rest
	case ascii.EqualFold(scheme, "Basic") && len(rest) <= base64.StdEncoding.EncodedLen(2*keyLength):
		pair, err := base64.StdEncoding.DecodeString(rest)
		if err != nil {
			return ""
		}
		user, password, _ := strings.Cut(string(pair), ":")
		if user == "" {
			return password
		}
		return user
	}
	return ""
}

func twoKeys() error {
	return denial.New(http.StatusForbidden, denial.CodeUnauthenticated, "This request carries two keys. Send one, as Authorization, as Proxy-Authorization or as "+shopify.HeaderAccessToken+".")
}

func wrongKey() error {
	return denial.New(http.StatusForbidden, denial.CodeUnauthenticated,
		"Evergate does not know this key. Send one that evergate key has made and that is in the file of EVERGATE_CLIENT_KEYS_FILE.")
}

// NewKey makes a key for a caller and the line that has Evergate know it.
func NewKey(name, policy string, shops []token.Shop) (key token.Secret, line string, err error) {
	var errs []error
	if slices.Contains(verbs, strings.ToLower(name)) {
		errs = append(errs, remedy.New("there are `evergate key NAME`, `evergate key list` and `evergate key revoke NAME`", "%q is no name for a caller", name))
	} else if !fitForKey(name) {
		errs = append(errs, remedy.New("use letters, digits and . _ : / @ + -, at most 128", "%q is no name for a caller", name))
	}
	if policy != "" && !isPolicyName(policy) {
		errs = append(errs, remedy.New("write full, read-only, none or one of the policy file", "%q is no name of a policy", policy))
	}
	if err := errors.Join(errs...); err != nil {
		return token.Secret{}, "", err
	}
	random := make([]byte, 32)
	_, _ = rand.Read(random) // it never fails
	text := keyPrefix + base64.RawURLEncoding.EncodeToString(random)
	digest := sha256.Sum256([]byte(text))
	line = name + " " + digestPrefix + hex.EncodeToString(digest[:])
	if len(shops) > 0 {
		handles := make([]string, len(shops))
		for i, s := range shops {
			handles[i] = s.Handle()
		}
		line += " shops=" + strings.Join(handles, ",")
	}
	if policy != "" {
		line += " policy=" + policy
	}
	return token.NewSecret(text), line, nil
}

// parseKeys reads a file of keys. The error joins every mistake, with its line. It never
// repeats what could be a key that someone put there instead of its digest.
func parseKeys(text []byte) (*keyring, error) {
	ring := &keyring{byDigest: map[[sha256.Size]byte]*clientKey{}, names: map[string]bool{}}
	var errs []error
	known := make(map[[sha256.Size]byte]int)
	n := 0
	plainText, hidden := plain.Text(string(text))
	for line := range strings.Lines(plainText) {
		n++
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		k, err := parseKey(strings.Fields(line))
		if err == nil && known[k.digest] > 0 {
			err = remedy.New("make one for each caller", "has the key of line %d", known[k.digest])
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("line %d %w", n, err))
			continue
		}
		known[k.digest] = n
		ring.keys, ring.byDigest[k.digest], ring.names[k.name] = append(ring.keys, k), k, true
	}
	if len(ring.keys) > mostKeys {
		errs = append(errs, remedy.New("let callers with the same rights share one", "there are %d keys, more than %d", len(ring.keys), mostKeys))
	}
	switch err := errors.Join(errs...); {
	case err != nil && hidden != nil:
		return nil, hidden // what else is found wrong follows from it
	case err != nil:
		return nil, err
	}
	return ring, nil
}

func parseKey(fields []string) (*clientKey, error) {
	k := &clientKey{name: fields[0], shares: fields[0]}
	if !fitForKey(k.name) {
		return nil, remedy.New("write NAME sha256:HEX, as evergate key prints it", "begins with no name for a caller")
	}
	if len(fields) < 2 || !strings.HasPrefix(fields[1], digestPrefix) {
		return nil, remedy.New(fmt.Sprintf("make a key with evergate key %s", k.name), "has no sha256:HEX after the name %s", k.name)
	}
	digest, err := hex.DecodeString(strings.TrimPrefix(fields[1], digestPrefix))
	if err != nil || len(digest) != sha256.Size {
		return nil, errors.New("has a digest that is not 64 hexadecimal digits: make a key with evergate key " + k.name)
	}
	copy(k.digest[:], digest)
	for _, f := range fields[2:] {
		name, value, _ := strings.Cut(f, "=")
		switch {
		case name == "policy" && k.policy == "" && isPolicyName(value):
			k.policy = value
		case name == "shops" && k.shops == nil:
			if k.shops, err = parseShops(value); err != nil {
				return nil, remedy.New("write the names before .myshopify.com, as in shops=acme,other", "has shops that are none")
			}
		default:
			return nil, errors.New("has something after the digest that is neither shops=a,b nor policy=NAME, or is there twice")
		}
	}
	return k, nil
}

// Compiled when the first name is read: the repetition makes it expensive to compile.
var policyPattern = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$`) })

// isPolicyName accepts what can be the name of a policy; package policy says which there are.
func isPolicyName(name string) bool { return policyPattern().MatchString(name) }

// fitForKey refuses the reserved names, and a key where its caller's name should be.
func fitForKey(name string) bool {
	return isOwnName(name) && !strings.HasPrefix(name, keyPrefix)
}

func parseShops(list string) (shops []token.Shop, _ error) {
	for name := range strings.SplitSeq(list, ",") {
		s, err := token.ParseShop(name)
		if err != nil {
			return nil, err
		}
		shops = append(shops, s)
	}
	return shops, nil
}
