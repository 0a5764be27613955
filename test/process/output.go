package process

import (
	"bytes"
	"fmt"
	"os/exec"
	"strings"
)

// Output runs cmd and returns what it printed on standard output, without the white space around
// it. Standard error is for people: a program that works says there what it downloads, or that
// a name is deprecated. So it is part of the error only.
func Output(cmd *exec.Cmd) (string, error) {
	var said bytes.Buffer
	cmd.Stderr = &said
	out, err := cmd.Output()
	if err != nil {
		err = fmt.Errorf("%w: %s", err, bytes.TrimSpace(said.Bytes()))
	}
	return strings.TrimSpace(string(out)), err
}
