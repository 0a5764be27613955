package fleet

import (
	"os"
	"testing"

	"evergate/test/process"
)

// binary is the program under test.
var binary string

func TestMain(m *testing.M) {
	process.Parallel(4)
	os.Exit(process.Main(m, &binary))
}
