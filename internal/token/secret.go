package token

import (
	"log/slog"
	"strings"
)

const redacted = "[redacted]"

// Secret holds a value that must never be printed: a token, a client secret, a key.
// The value sits behind a pointer, so that not even %+v or %#v of a struct with an
// unexported Secret field shows it; every formatting, logging and encoding method
// answers "[redacted]". The zero Secret is empty.
//
// A Secret is immutable and safe for concurrent use.
type Secret struct{ v *string }

// NewSecret wraps v.
func NewSecret(v string) Secret { return Secret{&v} }

// Reveal returns the value. Call it only where the value leaves for the one place it
// is meant for: a header, a request body, an HMAC key.
func (s Secret) Reveal() string {
	if s.v == nil {
		return ""
	}
	return *s.v
}

// Empty reports whether there is no value.
func (s Secret) Empty() bool { return s.v == nil || *s.v == "" }

// Equal reports whether s and o hold the same value. It is not constant-time: use it
// on values of our own, not on what a stranger sent.
func (s Secret) Equal(o Secret) bool { return s.Reveal() == o.Reveal() }

// HasPrefix reports whether the value starts with prefix.
func (s Secret) HasPrefix(prefix string) bool { return strings.HasPrefix(s.Reveal(), prefix) }

// UnmarshalText lets configuration libraries fill a Secret. Surrounding white space,
// which files and here-documents add, is dropped.
func (s *Secret) UnmarshalText(b []byte) error {
	*s = NewSecret(strings.TrimSpace(string(b)))
	return nil
}

// String implements fmt.Stringer without giving the value away.
func (Secret) String() string { return redacted }

// GoString implements fmt.GoStringer without giving the value away.
func (Secret) GoString() string { return redacted }

// LogValue implements slog.LogValuer without giving the value away.
func (Secret) LogValue() slog.Value { return slog.StringValue(redacted) }

// MarshalText implements encoding.TextMarshaler without giving the value away.
func (Secret) MarshalText() ([]byte, error) { return []byte(redacted), nil }
