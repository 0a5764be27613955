//go:build linux

package system

import (
	"flag"
	"os"
	"testing"

	"evergate/test/process"
)

var (
	// binary is the program under test.
	binary string

	update = flag.Bool("update", false, "write the table of docs/using/clients.md")
)

func TestMain(m *testing.M) {
	process.Parallel(12) // most of the time they wait for tokens to age
	os.Exit(process.Main(m, &binary))
}
