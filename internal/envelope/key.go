package envelope

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"

	"evergate/internal/remedy"
	"evergate/internal/token"
)

// KeySize is that of AES-256.
const KeySize = 32

// Keys encrypt what is stored. The zero Keys store it as it is.
type Keys struct {
	// Current encrypts and decrypts. Make it with ParseKey.
	Current token.Secret
	// Previous decrypts only: what it encrypted is encrypted anew at the next Swap.
	Previous token.Secret
}

var errKeyFormat = remedy.New(fmt.Sprintf("it takes %d bytes in base64 or hex; make one with: openssl rand -base64 %d", KeySize, KeySize), "not a key")

// ParseKey reads a key as EVERGATE_STORE_KEY holds it: 32 bytes in base64, standard or
// URL-safe, padded or not, or in hex. The error does not repeat the value.
func ParseKey(s string) (token.Secret, error) {
	s = strings.TrimSpace(s)
	// Nothing has two readings: 64 digits of hex would be 48 bytes of base64.
	for _, decode := range []func(string) ([]byte, error){
		hex.DecodeString,
		base64.StdEncoding.DecodeString, base64.RawStdEncoding.DecodeString,
		base64.URLEncoding.DecodeString, base64.RawURLEncoding.DecodeString,
	} {
		if b, err := decode(s); err == nil && len(b) == KeySize {
			return token.NewSecret(string(b)), nil
		}
	}
	return token.Secret{}, errKeyFormat
}

// Validate reports a key of a wrong size, and a previous key without a current one.
func (k Keys) Validate() error {
	if !k.Current.Empty() && len(k.Current.Reveal()) != KeySize {
		return fmt.Errorf("EVERGATE_STORE_KEY: %w", errKeyFormat)
	}
	if !k.Previous.Empty() && len(k.Previous.Reveal()) != KeySize {
		return fmt.Errorf("EVERGATE_STORE_KEY_PREVIOUS: %w", errKeyFormat)
	}
	if k.Current.Empty() && !k.Previous.Empty() {
		return errors.New("EVERGATE_STORE_KEY_PREVIOUS is set without EVERGATE_STORE_KEY: records would be written unencrypted; set EVERGATE_STORE_KEY, to the same key if there is no new one")
	}
	return nil
}

// find returns the key that goes by id.
func (k Keys) find(id string) (token.Secret, bool) {
	for _, key := range []token.Secret{k.Current, k.Previous} {
		if !key.Empty() && keyID(key) == id {
			return key, true
		}
	}
	return token.Secret{}, false
}

// keyID names a key without giving it away, so that a wrong key is told from a damaged record.
func keyID(key token.Secret) string {
	sum := sha256.Sum256([]byte(key.Reveal()))
	return hex.EncodeToString(sum[:8])
}

// aead puts a random nonce in front of what it seals. With 96 random bits, 2^32 writes are
// safe under one key: one a second for 136 years.
func aead(key token.Secret) (cipher.AEAD, error) {
	block, err := aes.NewCipher([]byte(key.Reveal()))
	if err != nil {
		return nil, errKeyFormat
	}
	return cipher.NewGCMWithRandomNonce(block)
}
