//go:build linux

package kill

import (
	"os"
	"strconv"
	"testing"

	"evergate/test/process"
)

// patience bounds every wait for something that takes a moment.
const patience = process.Patience

// program is what is tested. Other users may run it: some tests are about not being root.
var program string

func TestMain(m *testing.M) { os.Exit(runTests(m)) }

func runTests(m *testing.M) int {
	process.Parallel(8)
	return process.Main(m, &program)
}

// killRounds is how many processes are killed in modes in which no grant may be lost.
func killRounds(t *testing.T) int {
	if text := os.Getenv("KILL_ROUNDS"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil {
			t.Fatalf("KILL_ROUNDS: %v", err)
		}
		return n
	}
	if testing.Short() {
		return 15
	}
	return 100
}
