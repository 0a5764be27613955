// Package prefixed has the body of which a beginning has been read already.
//
// Several decisions need the first bytes of a message: whether an answer refuses for the rate
// limit, whether a 401 is short enough to be kept, what a GraphQL operation will do. Whoever
// takes the body afterwards must get every byte, and the error that reading ended with.
package prefixed

import (
	"errors"
	"io"
)

// Body is a body that begins with Prefix and goes on with Rest. It belongs to one goroutine.
type Body struct {
	Prefix []byte
	// Err is what comes after Prefix instead of Rest: io.EOF where Prefix is all there is, or
	// what broke it off. Nil: Rest goes on.
	Err  error
	Rest io.ReadCloser
}

// Read reads rest up to its end or to limit bytes, whichever comes first.
func Read(rest io.ReadCloser, limit int) *Body {
	prefix, err := io.ReadAll(io.LimitReader(rest, int64(limit)))
	if err == nil && len(prefix) < limit {
		err = io.EOF
	}
	return &Body{Prefix: prefix, Err: err, Rest: rest}
}

// Whole reports whether nothing comes after Prefix.
func (b *Body) Whole() bool { return errors.Is(b.Err, io.EOF) }

// Read implements io.Reader. The last bytes of Prefix come together with Err, so that who
// copies the body need not ask again to learn that it is over.
func (b *Body) Read(p []byte) (int, error) {
	if len(b.Prefix) == 0 {
		if b.Err != nil {
			return 0, b.Err
		}
		return b.Rest.Read(p)
	}
	n := copy(p, b.Prefix)
	b.Prefix = b.Prefix[n:]
	if len(b.Prefix) > 0 {
		return n, nil
	}
	return n, b.Err
}

// Here takes what is left of Prefix, which saves whoever only passes it on a copy, and returns what Read would have returned with its last bytes. It is
// valid as long as Prefix is.
func (b *Body) Here() ([]byte, error) {
	here := b.Prefix
	b.Prefix = nil
	return here, b.Err
}

// Ready is a body that knows whether the next read waits for nothing.
type Ready interface{ Ready() bool }

// Ready implements Ready.
func (b *Body) Ready() bool {
	if len(b.Prefix) > 0 || b.Err != nil {
		return true
	}
	rest, ok := b.Rest.(Ready)
	return ok && rest.Ready()
}

// Close closes Rest. What is left of Prefix is not served any more.
func (b *Body) Close() error {
	b.Prefix = nil
	return b.Rest.Close()
}
