package process

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// Terminal is a terminal of which a test is the screen and the keyboard.
type Terminal struct {
	// Screen is what was written to it, with the line breaks that were written.
	Screen Tape
	// Keys types.
	Keys io.Writer

	program *os.File
	read    chan struct{} // closed when nobody writes to it any more
}

// OnTerminal starts cmd with a terminal as its standard input, output and error, and as that which controls it.
func OnTerminal(t testing.TB, cmd *exec.Cmd) (*Process, *Terminal) {
	t.Helper()
	master, err := os.OpenFile("/dev/ptmx", os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = master.Close() })
	term := &Terminal{Keys: master, read: make(chan struct{})}
	term.program = openOtherEnd(t, master)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = term.program, term.program, term.program
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	p := &Process{Cmd: cmd, Done: make(chan struct{})}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		_, _ = io.Copy(&term.Screen, master) // ends with an error when the last of those that write has closed it
		close(term.read)
	}()
	go func() {
		_ = cmd.Wait()
		_ = term.program.Close()
		<-term.read
		_, _ = p.Out.Write([]byte(term.Screen.String()))
		close(p.Done)
	}()
	t.Cleanup(func() { p.close(t) })
	return p, term
}

// openOtherEnd opens what the program has, with line breaks that stay as they are written.
func openOtherEnd(t testing.TB, master *os.File) *os.File {
	t.Helper()
	raw, err := master.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	number, failed := 0, error(nil)
	if err := raw.Control(func(fd uintptr) {
		if failed = unix.IoctlSetPointerInt(int(fd), unix.TIOCSPTLCK, 0); failed == nil {
			number, failed = unix.IoctlGetInt(int(fd), unix.TIOCGPTN)
		}
		settings, err := unix.IoctlGetTermios(int(fd), unix.TCGETS)
		if failed == nil && err == nil {
			settings.Oflag &^= unix.OPOST
			err = unix.IoctlSetTermios(int(fd), unix.TCSETS, settings)
		}
		if failed == nil {
			failed = err
		}
	}); err != nil || failed != nil {
		t.Fatal(err, failed)
	}
	other, err := os.OpenFile(fmt.Sprintf("/dev/pts/%d", number), os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	return other
}

// Shows waits until the screen has a text.
func (term *Terminal) Shows(t testing.TB, p *Process, text string) {
	t.Helper()
	p.AwaitText(t, &term.Screen, text, func(screen string) bool { return strings.Contains(screen, text) })
}
