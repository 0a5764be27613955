package process

import (
	"os/exec"
	"strings"
	"testing"
)

func TestWhatAProgramSaysToPeopleIsNoOutput(t *testing.T) {
	t.Parallel()
	out, err := Output(exec.CommandContext(t.Context(), "sh", "-c", "echo 'go: downloading example.com/x v1.0.0' >&2; echo answer"))
	if out != "answer" || err != nil {
		t.Errorf("%q, %v", out, err)
	}
	out, err = Output(exec.CommandContext(t.Context(), "sh", "-c", "echo half; echo 'no such thing' >&2; exit 3"))
	if out != "half" || err == nil || !strings.Contains(err.Error(), "no such thing") || !strings.Contains(err.Error(), "exit status 3") {
		t.Errorf("%q, %v", out, err)
	}
}
