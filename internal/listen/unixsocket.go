package listen

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"evergate/internal/remedy"
)

const (
	// OwnerMode lets only the owner of a socket connect.
	OwnerMode fs.FileMode = 0o600
	// EverybodyMode lets everybody connect; whoever accepts looks at who they are.
	EverybodyMode fs.FileMode = 0o666
)

// longestSocketPath is what every platform has room for: macOS 104 bytes with the NUL,
// Linux 108.
const longestSocketPath = 103

// listenUnix opens a socket at path that nobody can connect to at any moment whom its mode
// would keep out.
//
// bind creates the file with whatever mode the umask leaves, so a chmod afterwards comes
// too late. The umask itself belongs to the whole process: to change it for a moment
// would loosen or tighten files that others create meanwhile. A chmod before the bind
// works on Linux only. So the socket is bound in a private directory beside its
// destination, where nobody can reach it, and gets there by rename once its mode is right.
func listenUnix(ctx context.Context, path string, mode fs.FileMode) (net.Listener, error) {
	if err := removeStale(ctx, path); err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp(filepath.Dir(path), ".e") // mode 0700
	if err != nil {
		return nil, remedy.New("its directory must exist and be writable", "cannot create the socket %s: %w", path, err)
	}
	defer func() { _ = os.RemoveAll(dir) }() // empty by then, unless something failed

	private := filepath.Join(dir, "s")
	if longest := max(len(private), len(path)); longest > longestSocketPath {
		return nil, remedy.New(fmt.Sprintf("shorten it by %d bytes", longest-longestSocketPath), "the path of the socket %s is too long for the system", path)
	}
	var config net.ListenConfig
	ln, err := config.Listen(ctx, "unix", private)
	if err != nil {
		return nil, fmt.Errorf("cannot create the socket %s: %w", path, err)
	}
	unix := ln.(*net.UnixListener)
	unix.SetUnlinkOnClose(false) // it would look where the file no longer is
	own, err := publish(private, path, mode)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("cannot create the socket %s: %w", path, err), unix.Close())
	}
	return &socketListener{UnixListener: unix, path: path, own: own}, nil
}

// publish gives the socket its mode and its name, in this order.
func publish(private, path string, mode fs.FileMode) (own fs.FileInfo, err error) {
	if err := os.Chmod(private, mode); err != nil {
		return nil, err
	}
	if own, err = os.Lstat(private); err != nil {
		return nil, err
	}
	// Someone else may have started since we looked. This does not close the gap, which
	// only a lock could, but a rename would take the name from a live socket.
	if _, err := os.Lstat(path); !errors.Is(err, fs.ErrNotExist) {
		return nil, remedy.New("stop one of the two", "another process created it just now")
	}
	return own, os.Rename(private, path)
}

// removeStale removes the socket that a killed process left behind. It touches nothing
// else: a refused connection is the only proof that nobody listens.
func removeStale(ctx context.Context, path string) error {
	info, err := os.Lstat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return remedy.New("its directory must be readable", "cannot create the socket %s: %w", path, err)
	case info.Mode().Type() != fs.ModeSocket:
		return remedy.New("move it away, or choose another path", "%s exists and is not a socket", path)
	}
	dialer := net.Dialer{Timeout: time.Second}
	conn, err := dialer.DialContext(ctx, "unix", path)
	switch {
	case err == nil:
		return errors.Join(remedy.New("stop it, or choose another path", "another process listens on %s", path), conn.Close())
	case errors.Is(err, fs.ErrNotExist):
		return nil // its owner has just removed it
	case !errors.Is(err, syscall.ECONNREFUSED):
		return remedy.New("remove the file if none does", "cannot tell whether another process listens on %s: %w", path, err)
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return remedy.New("remove it by hand", "cannot remove the stale socket %s: %w", path, err)
	}
	return nil
}

// socketListener is a Unix listener whose file was renamed after the bind.
type socketListener struct {
	*net.UnixListener
	path string
	own  fs.FileInfo
	once sync.Once
	err  error
}

// Addr returns the address that clients connect to.
func (l *socketListener) Addr() net.Addr { return &net.UnixAddr{Name: l.path, Net: "unix"} }

// Close stops listening and removes the file, unless a successor has put its own there.
func (l *socketListener) Close() error {
	l.once.Do(func() {
		// The file goes first: as long as the socket is open its inode cannot be reused,
		// so what looks like our file is our file.
		if now, err := os.Lstat(l.path); err == nil && os.SameFile(l.own, now) {
			l.err = os.Remove(l.path)
		}
		l.err = errors.Join(l.err, l.UnixListener.Close())
	})
	return l.err
}
