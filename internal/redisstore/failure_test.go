package redisstore

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"syscall"
	"testing"

	"evergate/internal/envelope"
	"evergate/internal/token"
)

// TestSilenceMayBeAServerWithoutTLS has what a connection comes to where one side speaks TLS and the other does not.
func TestSilenceMayBeAServerWithoutTLS(t *testing.T) {
	t.Parallel()
	silence := &net.OpError{Op: "read", Err: os.ErrDeadlineExceeded}
	for _, c := range []struct {
		scheme string
		err    error
		names  bool
	}{
		{"rediss", context.DeadlineExceeded, true},
		{"rediss", fmt.Errorf("dial: %w", silence), true},
		{"rediss", tls.RecordHeaderError{Msg: "first record does not look like a TLS handshake"}, true},
		{"rediss", syscall.ECONNREFUSED, false},
		{"redis", context.DeadlineExceeded, false},
		{"redis", silence, false},
	} {
		b, err := Open(c.scheme+"://h", envelope.Keys{Current: token.NewSecret(strings.Repeat("k", envelope.KeySize))})
		if err != nil {
			t.Fatal(err)
		}
		if err := b.failure(c.err); strings.Contains(err.Error(), "speaks TLS") != c.names || !errors.Is(err, token.ErrTransient) || !strings.Contains(err.Error(), "whether this machine may connect") {
			t.Errorf("%s, %v: %v", c.scheme, c.err, err)
		}
	}
}
