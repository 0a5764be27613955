package store

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
	// maxSize is far above any record, and keeps a wrong file from filling the memory.
	maxSize = 1 << 20
)

// All that decode can say. None of these is made from what is decoded, so none can give
// it away; errors of encoding/json do quote their input.
var (
	errDamaged = remedy.New("restore it from a backup, or move it away and log in again", "%w: it is damaged or cut short", ErrUnreadable)
	errNewer   = remedy.New("upgrade this one, or move it away and log in again", "%w: a newer Evergate wrote it", ErrUnreadable)
	errKey     = remedy.New("set one of them to that key", "%w: it is encrypted, and neither EVERGATE_STORE_KEY nor EVERGATE_STORE_KEY_PREVIOUS is the key it was written with", ErrUnreadable)
	errSeal    = remedy.New("restore it from a backup, or move it away and log in again", "%w: it is encrypted, and was altered, damaged or taken from another shop", ErrUnreadable)
	errPlain   = fmt.Errorf("%w: it is in plain text although EVERGATE_STORE_KEY is set, so it was written without the key while this process ran: start again to have it encrypted if you put it there, or move it away and log in again", ErrUnreadable)
	errShop    = remedy.New("restore the right one from a backup, or move it away and log in again", "%w: it belongs to another shop", ErrUnreadable)
)

// codec turns one shop's record into bytes and back.
type codec struct {
	shop token.Shop
	keys Keys
}

// envelope is what is stored. Either Record or Key and Sealed are set.
type envelope struct {
	Version int `json:"evergate"`
	// Nonce makes equal records differ, so that their hash can be the handle.
	Nonce  string          `json:"nonce,omitempty"`
	Record json.RawMessage `json:"record,omitempty"`
	Key    string          `json:"key,omitempty"`
	Sealed []byte          `json:"sealed,omitempty"`
}

// encode encrypts if there is a key, whatever the record was before: a store becomes
// encrypted, or changes its key, with the next write.
func (c codec) encode(r token.Record) ([]byte, error) {
	if r.Shop != c.shop.Domain() {
		return nil, fmt.Errorf("a record of the shop %q cannot be stored for %s", r.Shop, c.shop)
	}
	record, err := json.Marshal(toWire(r))
	if err != nil {
		return nil, errors.New("a record with a time outside the years 0 to 9999 cannot be stored") // there is no other reason
	}
	e := envelope{Version: version, Record: record, Nonce: rand.Text()}
	if key := c.keys.Current; !key.Empty() {
		if e, err = c.seal(key, record); err != nil {
			return nil, err
		}
	}
	b, err := json.Marshal(e)
	if err != nil {
		return nil, err
	}
	if len(b) >= maxSize {
		return nil, fmt.Errorf("a record of %d bytes cannot be stored: the limit is %d", len(b), maxSize)
	}
	return append(b, '\n'), nil
}

func (c codec) seal(key token.Secret, record []byte) (envelope, error) {
	a, err := aead(key)
	if err != nil {
		return envelope{}, err
	}
	id := keyID(key)
	sealed := a.Seal(nil, nil, record, c.bound(id)) //nolint:gosec // G407: it draws the nonce itself
	return envelope{Version: version, Key: id, Sealed: sealed}, nil
}

// bound is what a sealed record is bound to: put in the place of another shop's, or under
// another header, it does not open.
func (c codec) bound(keyID string) []byte {
	return fmt.Appendf(nil, "evergate/%d/%s/%s", version, keyID, c.shop.Domain())
}

// decode returns one of the errors above or a record of the shop.
func (c codec) decode(b []byte) (token.Record, error) {
	// The version comes first: a newer one may have changed everything else.
	var head struct {
		Version int `json:"evergate"`
	}
	if err := json.Unmarshal(b, &head); err != nil || head.Version < 1 {
		return token.Record{}, errDamaged
	}
	if head.Version > version {
		return token.Record{}, errNewer
	}
	var e envelope
	if err := json.Unmarshal(b, &e); err != nil || (len(e.Record) > 0) == (len(e.Sealed) > 0) {
		return token.Record{}, errDamaged
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
		return token.Record{}, errDamaged
	}
	if string(w.Shop) != c.shop.Domain() {
		return token.Record{}, errShop
	}
	return w.record(), nil
}

// isPlain reports whether stored bytes are a record that is not encrypted.
func isPlain(b []byte) bool {
	var e envelope
	return json.Unmarshal(b, &e) == nil && len(e.Record) > 0
}

func (c codec) open(e envelope) ([]byte, error) {
	key, ok := c.keys.find(e.Key)
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

// handleOf names stored bytes; no bytes are nothing stored. The nonce within makes the
// handle of each write its own.
func handleOf(b []byte) token.Handle {
	if b == nil {
		return ""
	}
	sum := sha256.Sum256(b)
	return token.Handle(base64.RawURLEncoding.EncodeToString(sum[:]))
}
