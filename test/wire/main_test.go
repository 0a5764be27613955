package wire

import (
	"errors"
	"os"
	"syscall"
	"testing"
	"time"

	"evergate/test/process"
)

const patience = process.Patience

// binary is the program under test.
var binary string

func TestMain(m *testing.M) { os.Exit(process.Main(m, &binary, "-trimpath", "-ldflags", "-s -w")) }

// soon is a deadline for input and output that must come: a test that hangs fails instead.
func soon() time.Time { return time.Now().Add(patience) }

// isReset reports whether the other side ended a connection without reading all of it.
func isReset(err error) bool {
	return errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE)
}
