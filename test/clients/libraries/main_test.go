//go:build linux

package libraries

import (
	"os"
	"testing"

	"evergate/test/process"
)

// binary is the program under test.
var binary string

func TestMain(m *testing.M) {
	process.Parallel(12) // they wait for tokens to expire, most of the time
	os.Exit(process.Main(m, &binary))
}
