package redis

import (
	"os"
	"testing"

	"evergate/test/process"
)

// binary is the program under test.
var binary string

func TestMain(m *testing.M) { os.Exit(process.Main(m, &binary)) }
