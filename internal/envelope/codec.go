// Package envelope is how a record is written: as JSON, encrypted if there is a key, in the form that every store keeps. What
// was written by an earlier version stays readable.
package envelope

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"

	"evergate/internal/remedy"
	"evergate/internal/token"
)

const (
	// version is that of the envelope and of what is in it. A reader drops the fields it
	// does not know when it writes, so within one version only such fields are added
	// that may be lost; everything else takes a new version, which older readers refuse.
	version = 1
	// MaxSize is far above any record, and keeps a wrong file from filling the memory.
	MaxSize = 1 << 20
)

// ErrUnreadable says that something is stored that cannot be used: it is damaged, of a
// newer version, or encrypted with another key. It is left as it is, and a person must act.
var ErrUnreadable = errors.New("the stored record cannot be used")

// All that Decode can say. None of these is made from what is decoded, so none can give
// it away; errors of encoding/json do quote their input.
var (
	// ErrDamaged is an ErrUnreadable of bytes that are no record.
	ErrDamaged = remedy.New("restore it from a backup, or move it away and log in again", "%w: it is damaged or cut short", ErrUnreadable)
	errNewer   = remedy.New("upgrade this one, or move it away and log in again", "%w: a newer Evergate wrote it", ErrUnreadable)
	errKey     = remedy.New("set one of them to that key", "%w: %w", ErrUnreadable, token.ErrKey)
	errSeal    = remedy.New("restore it from a backup, or move it away and log in again", "%w: it is encrypted, and was altered, damaged or taken from another shop", ErrUnreadable)
	// ErrPlain is an ErrUnreadable of a record in plain text in a store that is encrypted; whether that is one is for the store to say.
	ErrPlain = fmt.Errorf("%w: it is in plain text although EVERGATE_STORE_KEY is set, so it was written without the key while this process ran: start again to have it encrypted if you put it there, or move it away and log in again", ErrUnreadable)
	errShop  = remedy.New("restore the right one from a backup, or move it away and log in again", "%w: it belongs to another shop", ErrUnreadable)
)

// Codec turns one shop's record into bytes and back. It is a value, safe for concurrent use.
type Codec struct {
	Shop token.Shop
	Keys Keys
}

// sealedForm is what is stored. Either Record or Key and Sealed are set.
type sealedForm struct {
	Version int `json:"evergate"`
	// Nonce makes equal records differ, so that their hash can be the handle.
	Nonce  string          `json:"nonce,omitempty"`
	Record json.RawMessage `json:"record,omitempty"`
	Key    string          `json:"key,omitempty"`
	Sealed []byte          `json:"sealed,omitempty"`
}

// Encode encrypts if there is a key, whatever the record was before: a store becomes
// encrypted, or changes its key, with the next write.
func (c Codec) Encode(r token.Record) ([]byte, error) {
	if r.Shop != c.Shop.Domain() {
		return nil, fmt.Errorf("a record of the shop %q cannot be stored for %s", r.Shop, c.Shop)
	}
	record, err := json.Marshal(toWire(r))
	if err != nil {
		return nil, errors.New("a record with a time outside the years 0 to 9999 cannot be stored") // there is no other reason
	}
	e := sealedForm{Version: version, Record: record, Nonce: rand.Text()}
	if key := c.Keys.Current; !key.Empty() {
		if e, err = c.seal(key, record); err != nil {
			return nil, err
		}
	}
	b, err := json.Marshal(e)
	if err != nil {
		return nil, err
	}
	if len(b) >= MaxSize {
		return nil, fmt.Errorf("a record of %d bytes cannot be stored: the limit is %d", len(b), MaxSize)
	}
	return append(b, '\n'), nil
}

func (c Codec) seal(key token.Secret, record []byte) (sealedForm, error) {
	a, err := aead(key)
	if err != nil {
		return sealedForm{}, err
	}
	id := keyID(key)
	sealed := a.Seal(nil, nil, record, c.bound(id)) //nolint:gosec // G407: it draws the nonce itself
	return sealedForm{Version: version, Key: id, Sealed: sealed}, nil
}

// bound is what a sealed record is bound to: put in the place of another shop's, or under
// another header, it does not open.
func (c Codec) bound(keyID string) []byte {
	return fmt.Appendf(nil, "evergate/%d/%s/%s", version, keyID, c.Shop.Domain())
}

// Decode returns one of the errors above or a record of the shop.
func (c Codec) Decode(b []byte) (token.Record, error) {
	// The version comes first: a newer one may have changed everything else.
	var head struct {
		Version int `json:"evergate"`
	}
	if err := json.Unmarshal(b, &head); err != nil || head.Version < 1 {
		return token.Record{}, ErrDamaged
	}
	if head.Version > version {
		return token.Record{}, errNewer
	}
	var e sealedForm
	if err := json.Unmarshal(b, &e); err != nil || (len(e.Record) > 0) == (len(e.Sealed) > 0) {
		return token.Record{}, ErrDamaged
	}
	// A record that is not encrypted is accepted although there is a key: whether it may be is a
	// matter of the store's.
	record := []byte(e.Record)
	if len(e.Sealed) > 0 {
		var err error
		if record, err = c.open(e); err != nil {
			return token.Record{}, err
		}
	}
	var w wireRecord
	if err := json.Unmarshal(record, &w); err != nil || w.Shop == "" {
		return token.Record{}, ErrDamaged
	}
	if string(w.Shop) != c.Shop.Domain() {
		return token.Record{}, errShop
	}
	return w.record(), nil
}

// IsPlain reports whether stored bytes are a record that is not encrypted.
func IsPlain(b []byte) bool {
	var e sealedForm
	return json.Unmarshal(b, &e) == nil && len(e.Record) > 0
}

func (c Codec) open(e sealedForm) ([]byte, error) {
	key, ok := c.Keys.find(e.Key)
	if !ok {
		return nil, errKey
	}
	a, err := aead(key)
	if err != nil {
		return nil, errKey
	}
	record, err := a.Open(nil, nil, e.Sealed, c.bound(e.Key))
	if err != nil {
		return nil, errSeal
	}
	return record, nil
}

// HandleOf names stored bytes; no bytes are nothing stored. The nonce within makes the
// handle of each write its own.
func HandleOf(b []byte) token.Handle {
	if b == nil {
		return ""
	}
	sum := sha256.Sum256(b)
	return token.Handle(base64.RawURLEncoding.EncodeToString(sum[:]))
}
