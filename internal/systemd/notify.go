package systemd

import (
	"fmt"
	"net"
	"strconv"
	"strings"
	"time"
)

// sendWithin bounds one notification. systemd reads them promptly; whatever else may stand
// behind the socket must not hold the service up.
const sendWithin = time.Second

// Notifier tells systemd how the service fares. A nil Notifier does nothing.
type Notifier struct {
	address *net.UnixAddr
	// Watchdog is within which time systemd wants to hear from us again; zero: never.
	Watchdog time.Duration
}

// NewNotifier returns nil if no service manager listens.
func NewNotifier(environ []string, pid int) (*Notifier, error) {
	path := lookUp(environ, "NOTIFY_SOCKET")
	if path == "" {
		return nil, nil
	}
	if path[0] != '/' && path[0] != '@' || len(path) < 2 {
		return nil, fmt.Errorf("NOTIFY_SOCKET=%q is neither an absolute path nor an abstract socket (@name): unset it", path)
	}
	watchdog, err := watchdog(environ, pid)
	return &Notifier{&net.UnixAddr{Name: path, Net: "unixgram"}, watchdog}, err
}

func watchdog(environ []string, pid int) (time.Duration, error) {
	text := lookUp(environ, "WATCHDOG_USEC")
	if owner := lookUp(environ, "WATCHDOG_PID"); text == "" || owner != "" && owner != strconv.Itoa(pid) {
		return 0, nil
	}
	const longest = 1 << 53 // of which a Duration still holds the microseconds
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil || n <= 0 || n > longest {
		return 0, fmt.Errorf("WATCHDOG_USEC=%q is not a number of microseconds", text)
	}
	return time.Duration(n) * time.Microsecond, nil
}

// Ready says that the service has started.
func (n *Notifier) Ready() error { return n.send("READY=1") }

// Stopping says that it is about to end.
func (n *Notifier) Stopping() error { return n.send("STOPPING=1") }

// Alive says that the service works; see Watchdog.
func (n *Notifier) Alive() error { return n.send("WATCHDOG=1") }

// Status says in words how the service fares, on one line.
func (n *Notifier) Status(words string) error {
	return n.send("STATUS=" + strings.Join(strings.Fields(words), " "))
}

func (n *Notifier) send(state string) error {
	if n == nil {
		return nil
	}
	conn, err := net.DialUnix(n.address.Net, nil, n.address)
	if err != nil {
		return fmt.Errorf("systemd cannot be told %s: %w", state, err)
	}
	defer func() { _ = conn.Close() }()
	_ = conn.SetWriteDeadline(time.Now().Add(sendWithin))
	if _, err := conn.Write([]byte(state)); err != nil {
		return fmt.Errorf("systemd cannot be told %s: %w", state, err)
	}
	return nil
}
