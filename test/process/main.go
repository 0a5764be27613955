package process

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"
	"testing"
)

// Main is what a TestMain does: it builds the program under test, writes where it lies to
// binary, and runs the tests. The flags are go build's. Other users may run the program:
// some tests are about not being root.
func Main(m *testing.M, binary *string, flags ...string) int {
	dir, err := os.MkdirTemp("", "evergate-test-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer func() { _ = os.RemoveAll(dir) }()
	if err := os.Chmod(dir, 0o755); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	*binary = filepath.Join(dir, "evergate")
	if err := Build(*binary, flags...); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return m.Run()
}

// Build compiles cmd/proxy to path. The flags are go build's.
func Build(path string, flags ...string) error {
	cmd := exec.Command("go", append(append([]string{"build", "-o", path}, flags...), "evergate/cmd/proxy")...)
	cmd.Stdout, cmd.Stderr = os.Stderr, os.Stderr
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("build the binary under test: %w", err)
	}
	return nil
}

// Parallel is how many tests run together unless -parallel says otherwise. It is for
// tests that wait for tokens to age, which takes no processor.
func Parallel(atOnce int) {
	flag.Parse()
	given := false
	flag.Visit(func(f *flag.Flag) { given = given || f.Name == "test.parallel" })
	if !given {
		_ = flag.Set("test.parallel", strconv.Itoa(atOnce))
	}
}

// RequireProgram ends the test when a program that it needs is not installed. The remedy is
// a command.
func RequireProgram(t testing.TB, name, remedy string) {
	t.Helper()
	if _, err := exec.LookPath(name); err != nil {
		Missing(t, name+" is not installed", remedy)
	}
}

// Everything reports whether all has to be there and is tested for as long as it takes: in CI, and in `make test`.
func Everything() bool { return os.Getenv("CI") != "" || os.Getenv("TEST_COMPONENTS") == "required" }

// Missing skips the test on a person's machine. Where everything has to be there, a skipped
// test would go unnoticed, so it fails.
func Missing(t testing.TB, what, remedy string) {
	t.Helper()
	if Everything() {
		t.Fatalf("%s: `%s`", what, remedy)
	}
	t.Skipf("%s: to run this test, `%s`", what, remedy)
}

// givenPorts are those that FreePort has returned: nobody may listen on one yet.
var givenPorts sync.Map

// FreePort is a port of 127.0.0.1 that nobody listened on a moment ago. It is for programs
// that cannot be told to choose one themselves. It is none of those that the kernel gives to whoever connects or listens on port 0, as
// other tests do all the time: Linux begins with 32768, others with 49152.
func FreePort(t testing.TB) string {
	t.Helper()
	const first, last = 12_000, 32_000
	for range 100 {
		port := strconv.Itoa(first + rand.N(last-first))
		if _, given := givenPorts.LoadOrStore(port, true); given {
			continue
		}
		if l, err := net.Listen("tcp", "127.0.0.1:"+port); err == nil {
			_ = l.Close()
			return port
		}
	}
	t.Fatal("no port is free")
	return ""
}
