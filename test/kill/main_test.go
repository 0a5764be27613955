//go:build linux

package kill

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"testing"

	child "evergate/test/process"
)

// patience bounds every wait for something that takes a moment. It is far above what a
// loaded machine needs, so that only what will never happen runs into it.
const patience = child.Patience

// atOnce is how many tests run together unless -parallel says otherwise: they wait for
// tokens to age, which takes no processor.
const atOnce = "8"

// program is what is tested. Other users may run it: some tests are not about root.
var program string

func TestMain(m *testing.M) { os.Exit(runTests(m)) }

func runTests(m *testing.M) int {
	flag.Parse()
	parallel := false
	flag.Visit(func(f *flag.Flag) { parallel = parallel || f.Name == "test.parallel" })
	if !parallel {
		_ = flag.Set("test.parallel", atOnce)
	}
	dir, err := os.MkdirTemp("", "evergate-kill-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	if err := os.Chmod(dir, 0o755); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	program = filepath.Join(dir, "evergate")
	if err := child.Build(program); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return m.Run()
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
