package sidecar

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"evergate/internal/admin"
	"evergate/internal/config"
	"evergate/internal/listen"
	"evergate/internal/readfile"
	"evergate/internal/remedy"
	"evergate/internal/systemd"
)

const (
	// The names by which a socket unit says what its socket is for (FileDescriptorName=).
	socketForTools = "evergate"
	socketForAdmin = "admin"

	// notifyEvery is how often systemd learns of a change, if there was one. With a watchdog it
	// is told more often if need be: two answers may be lost before it acts.
	notifyEvery    = 10 * time.Second
	watchdogMargin = 3
	// longestReason bounds what others may have written into an error, in bytes.
	longestReason = 500
	// firstToken is how often we look while there has not been a token: people watch then.
	firstToken = time.Second
)

// manager is what the service manager gave to this process, and whom to tell how it fares.
// The zero value is a life without one.
type manager struct {
	sockets []systemd.Socket
	notify  *systemd.Notifier
}

func newManager(environ []string) (m manager, err error) {
	var notifyErr error
	m.notify, notifyErr = systemd.NewNotifier(environ, os.Getpid())
	m.sockets, err = systemd.Sockets(environ, os.Getpid())
	if err = errors.Join(err, notifyErr); err != nil {
		return manager{}, config.Wrong(err)
	}
	return m, nil
}

// adopt takes the sockets that were open before us. They take the place of EVERGATE_LISTEN
// and EVERGATE_ADMIN_LISTEN.
func (s *Sidecar) adopt() error {
	var errs []error
	for _, socket := range s.manager.sockets {
		errs = append(errs, s.adoptOne(socket))
	}
	if err := errors.Join(errs...); err != nil {
		return config.Wrong(err)
	}
	return nil
}

func (s *Sidecar) adoptOne(socket systemd.Socket) error {
	l := socket.Listener
	if a := addressOf(l); a.Network == "unix" && !filepath.IsAbs(a.Address) {
		return fmt.Errorf("the socket %s that systemd passed is abstract: it has no file mode, so every user of the machine can call it; "+
			"write a path such as ListenStream=/run/evergate/evergate.sock in the socket unit", a)
	}
	if err := s.checkMode(l); err != nil {
		return err
	}
	if socket.Name == socketForAdmin {
		if len(s.adminOn) > 0 {
			return remedy.New(fmt.Sprintf("keep one ListenStream= in the socket unit with FileDescriptorName=%s", socketForAdmin), "two sockets were passed for operators")
		}
		s.adminOn = []listen.Opened{{Listener: l, Address: addressOf(l)}}
		s.announce("listening for operators", "address", l.Addr().String(), "opened_by", "systemd")
		return nil
	}
	if !isForTools(socket.Name) {
		return remedy.New(fmt.Sprintf("write FileDescriptorName=%s (for tools) or FileDescriptorName=%s (for operators) in its socket unit", socketForTools, socketForAdmin), "a socket was passed under the name %q", socket.Name)
	}
	// ListenStream=8080 means every address of the machine, which few expect.
	a := addressOf(l)
	if !a.Loopback() && !s.cfg.UnsafeListen && s.cfg.ClientKeysFile == "" {
		return remedy.New("whoever can reach it acts as your app; write ListenStream=127.0.0.1:8080 in the socket unit, have clients show keys (EVERGATE_CLIENT_KEYS_FILE), or set EVERGATE_UNSAFE_LISTEN=true to accept that", "the socket %s that systemd passed is not loopback", a)
	}
	if a.Network == "tcp" && s.cfg.TLSCertFile != "" {
		return remedy.New("remove that, or the socket unit, and have Evergate listen on a tls: address itself", "the socket %s that systemd passed would be served without TLS, and EVERGATE_TLS_CERT_FILE is set", a)
	}
	s.listeners = append(s.listeners, listen.Opened{Listener: s.access.Adopt(l, a, s.wrappers()), Address: a})
	s.announce("listening for tools", "address", l.Addr().String(), "opened_by", "systemd")
	return nil
}

// checkMode refuses a socket that every user of the machine may call without being asked who he is. systemd makes them so
// unless its unit says otherwise.
func (s *Sidecar) checkMode(l net.Listener) error {
	a := addressOf(l)
	if a.Network != "unix" || s.cfg.UnsafeListen || s.cfg.ClientKeysFile != "" || s.cfg.SocketPeers != "" || !readfile.IsForAll(a.Address) {
		return nil
	}
	return remedy.New("write SocketMode=0660 and SocketGroup= in the socket unit, say who may call (EVERGATE_SOCKET_PEERS or EVERGATE_CLIENT_KEYS_FILE), or set EVERGATE_UNSAFE_LISTEN=true to accept that",
		"the socket %s that systemd passed can be called by every user of the machine, who acts as your app then", a)
}

// isForTools knows the names that a socket has when nobody gave it one, too.
func isForTools(name string) bool {
	return name == socketForTools || name == systemd.UnknownName || strings.HasSuffix(name, ".socket")
}

func addressOf(l net.Listener) listen.Address {
	return listen.Address{Network: l.Addr().Network(), Address: l.Addr().String()}
}

// notifyManager says that the service has started, and from then on in a sentence how it fares,
// until ctx ends. The watchdog is told that the process works only if it has just answered a
// request of ours, as any client's.
func (s *Sidecar) notifyManager(ctx context.Context) {
	n := s.manager.notify
	if n == nil {
		return
	}
	s.logFailure(n.Ready())
	every := notifyEvery
	if n.Watchdog > 0 {
		every = min(every, n.Watchdog/watchdogMargin)
	}
	ticker := time.NewTicker(min(every, firstToken))
	defer ticker.Stop()
	for reported := ""; ; {
		if s.served.started() {
			ticker.Reset(every)
		}
		if status := s.status(); status != reported {
			s.logFailure(n.Status(status))
			reported = status
		}
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		if n.Watchdog > 0 {
			s.feedWatchdog(ctx, every)
		}
	}
}

func (s *Sidecar) feedWatchdog(ctx context.Context, within time.Duration) {
	ctx, stop := context.WithTimeout(ctx, within)
	defer stop()
	if err := admin.NewClient(s.adminOn[0].Listener.Addr().Network(), s.adminOn[0].Listener.Addr().String()).Call(ctx, http.MethodGet, "/livez"); err != nil {
		s.log.Warn("the watchdog is not told that the process works, because it does not answer /livez", "err", err)
		return
	}
	s.logFailure(s.manager.notify.Alive())
}

// status is one sentence for `systemctl status`.
func (s *Sidecar) status() string {
	if s.stopping.Load() {
		return "Shutting down."
	}
	return s.served.sentence()
}

// logFailure logs that systemd could not be told something. The service goes on.
func (s *Sidecar) logFailure(err error) {
	if err != nil {
		s.log.Warn("systemd", "err", err)
	}
}
