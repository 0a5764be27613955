package e2e

import (
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"evergate/test/process"
)

func TestSIGHUPReadsTheFilesAgainAndEndsNothing(t *testing.T) {
	t.Parallel()
	shop := newShopify(t, shopOptions{Settings: wide(time.Hour)})
	policy := filepath.Join(t.TempDir(), "policy.json")
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(policy, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(`{"default":"full"}`)
	s := shop.readySidecar(t, "EVERGATE_POLICY_FILE="+policy)
	write(`{"default":"read-only"}`)
	s.Signal(t, syscall.SIGHUP)
	s.AwaitLog(t, "reading the files again")
	s.AwaitLog(t, "a changed file is in force")
	write(`{"default":"no such thing"}`)
	s.Signal(t, syscall.SIGHUP)
	s.AwaitLog(t, "a changed file is not used; what it held before stays in force")
	for range 20 {
		s.Signal(t, syscall.SIGHUP)
	}
	mustStatus(t, s.get(t, "/shop.json"), http.StatusOK)
	s.Signal(t, syscall.SIGTERM)
	if code := s.Exit(t); code != 0 {
		t.Errorf("exit code %d", code)
	}
}

// linuxSignals are those of Linux alone, by the names that bash has for them.
var linuxSignals = map[string]string{"linux": " IO PWR RTMIN+1 RTMAX-14 RTMAX"}[runtime.GOOS]

// stubborn is a command that ends for no signal but says which it got. After SIGTERM, which
// comes last, it calls the sidecar once more.
var stubborn = `
for s in HUP INT QUIT USR1 USR2 WINCH CONT TSTP TTIN TTOU ALRM ABRT TRAP SYS VTALRM XCPU XFSZ` + linuxSignals + `; do trap "echo got $s" $s; done
trap 'echo got TERM; curl -s -o /dev/null -w "answer %{http_code}\n" "$EVERGATE_URL` + api + `/shop.json"; exit 5' TERM
echo started
while :; do sleep 1 & wait $!; done`

func TestRunPassesSignalsOnAndStaysForItsCommand(t *testing.T) {
	t.Parallel()
	process.RequireProgram(t, "bash", "apt-get install bash")
	process.RequireProgram(t, "curl", "apt-get install curl")
	shop := newShopify(t, shopOptions{Settings: wide(time.Hour)})
	command := []string{binary, "run", "--", "bash", "-c", stubborn}
	if runtime.GOOS == "linux" { // who runs the tests, nohup or a shell in the background, may have had some ignored, which bash cannot undo
		command = append([]string{"env", "--default-signal"}, command...)
	}
	p := process.Start(t, process.Command(t, command[0], shop.runEnviron(), command[1:]...))
	p.AwaitText(t, &p.Out, "started", has("started"))
	type sent struct {
		signal syscall.Signal
		name   string
	}
	more := []sent{}
	if runtime.GOOS == "linux" { // 34 is the C library's and Go's own
		more = []sent{{29, "IO"}, {30, "PWR"}, {35, "RTMIN+1"}, {50, "RTMAX-14"}, {64, "RTMAX"}}
	}
	for _, s := range slices.Concat([]sent{
		{syscall.SIGTTIN, "TTIN"}, {syscall.SIGTTOU, "TTOU"}, {syscall.SIGALRM, "ALRM"}, {syscall.SIGABRT, "ABRT"}, {syscall.SIGTRAP, "TRAP"}, {syscall.SIGSYS, "SYS"}, {syscall.SIGVTALRM, "VTALRM"},
		{syscall.SIGXCPU, "XCPU"}, {syscall.SIGXFSZ, "XFSZ"},
	}, more, []sent{
		{syscall.SIGHUP, "HUP"}, {syscall.SIGINT, "INT"}, {syscall.SIGQUIT, "QUIT"}, {syscall.SIGUSR1, "USR1"}, {syscall.SIGUSR2, "USR2"},
		{syscall.SIGWINCH, "WINCH"}, {syscall.SIGTSTP, "TSTP"}, {syscall.SIGCONT, "CONT"}, {syscall.SIGTERM, "TERM"},
	}) {
		p.Signal(t, s.signal)
		p.AwaitText(t, &p.Out, s.name, has("got "+s.name+"\n"))
	}
	if code := p.Exit(t); code != 5 {
		t.Errorf("exit code %d", code)
	}
	if said := p.Out.String(); !strings.Contains(said, "answer 200") {
		t.Errorf("the sidecar was gone before its command:\n%s%s", said, p.Err.String())
	}
}

// A command whose sidecar is gone would only fail.
func TestRunEndsItsCommandWhenTheSidecarIsToldToQuit(t *testing.T) {
	t.Parallel()
	process.RequireProgram(t, "bash", "apt-get install bash")
	shop := newShopify(t, shopOptions{Settings: wide(time.Hour)})
	socket := filepath.Join(publicDir(t), "a")
	p := start(t, shop.runEnviron("EVERGATE_ADMIN_LISTEN=unix:"+socket), "run", "--", "bash", "-c",
		`trap 'echo ended; exit 6' TERM; echo started; while :; do sleep 1 & wait $!; done`)
	p.AwaitText(t, &p.Out, "started", has("started"))
	if code, out, complaints := finish(t, []string{"EVERGATE_ADMIN_LISTEN=unix:" + socket}, "quit"); code != 0 {
		t.Fatalf("%d %s%s", code, out, complaints)
	}
	if code := p.Exit(t); code != 6 {
		t.Errorf("exit code %d: %s%s", code, p.Out.String(), p.Err.String())
	}
}

func has(part string) func(string) bool {
	return func(all string) bool { return strings.Contains(all, part) }
}

func TestACommandDoesNotOutliveASidecarThatIsKilled(t *testing.T) {
	t.Parallel()
	if runtime.GOOS != "linux" {
		t.Skip("only Linux ends a process with its parent")
	}
	process.RequireProgram(t, "bash", "apt-get install bash")
	shop := newShopify(t, shopOptions{Settings: wide(time.Hour)})
	file := filepath.Join(t.TempDir(), "ended")
	p := start(t, shop.runEnviron(), "run", "--", "bash", "-c", `trap 'echo yes >"$0"; exit' TERM; echo started; while :; do sleep 1 & wait $!; done`, file)
	p.AwaitText(t, &p.Out, "started", has("started"))
	p.Signal(t, syscall.SIGKILL)
	process.Eventually(t, func() error {
		_, err := os.Stat(file)
		return err
	})
}
