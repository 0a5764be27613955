package supply

import (
	"os"
	"path/filepath"
	"testing"
)

// largestBinary is a ceiling. Nearly all of the file is in memory while the sidecar idles, so what is added to it is added to
// that, too. When it is reached, `go tool nm -size -sort size` says what came in.
const largestBinary = 18 << 20

func TestTheBinaryDoesNotGrowUnnoticed(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("links the whole program: not with -short")
	}
	here, err := filepath.Abs(root)
	if err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(build(t, here, "GOOS=linux", "GOARCH=amd64"))
	if err != nil {
		t.Fatal(err)
	}
	if size := info.Size(); size > largestBinary {
		t.Errorf("as released it has %.2f MiB, and %.2f are allowed", float64(size)/(1<<20), float64(largestBinary)/(1<<20))
	}
}
