package e2e

import (
	"os"
	"testing"

	"evergate/test/process"
)

// patience bounds every wait for something that takes a moment.
const patience = process.Patience

// binary is the program under test.
var binary string

func TestMain(m *testing.M) { os.Exit(runTests(m)) }

func runTests(m *testing.M) int {
	if len(os.Args) > 2 && os.Args[1] == commandMark {
		return command(os.Args[2:])
	}
	process.Parallel(8)
	var flags []string
	if os.Getenv("TEST_RACE") == "1" {
		flags = append(flags, "-race")
	}
	return process.Main(m, &binary, flags...)
}
