package guard

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"strconv"
	"strings"

	"evergate/internal/ascii"
	"evergate/internal/denial"
	"evergate/internal/remedy"
	"evergate/internal/request"
)

const (
	localSuffix = ".localhost"
	shopSuffix  = ".myshopify.com"
)

// hosts is the allow-list that a Host header must be on. It is what stands between the
// token and a web page whose name was made to resolve to this machine.
type hosts struct {
	extra []string // lower-case, without port; IPv6 in brackets
}

// parseHosts checks the configured names and reports every mistake at once.
func parseHosts(names []string) (hosts, error) {
	var h hosts
	var errs []error
	for _, name := range names {
		name = strings.ToLower(strings.TrimSpace(name))
		if name == "" {
			continue // a comma too many
		}
		if ip, err := netip.ParseAddr(name); err == nil && ip.Is6() {
			name = "[" + name + "]"
		}
		if err := checkHostSetting(name); err != nil {
			errs = append(errs, fmt.Errorf("the allowed host %s %w", denial.Quote(name), err))
			continue
		}
		h.extra = append(h.extra, name)
	}
	return h, errors.Join(errs...)
}

func checkHostSetting(name string) error {
	if strings.Contains(name, "://") || strings.ContainsAny(name, "/@") {
		return remedy.New("give the name alone, for example evergate.internal", "is more than a host")
	}
	if strings.HasSuffix(name, shopSuffix) {
		return remedy.New("the one that is served is accepted anyway, and a call that means another shop must not reach it", "is a shop's own name")
	}
	if strings.Contains(name, "*") {
		return remedy.New("list each name, for example evergate.internal", "is a pattern")
	}
	bare, ok := hostname(name)
	if ok && bare != name {
		return remedy.New("drop it, every port is accepted", "has a port")
	}
	if inner, bracketed := strings.CutPrefix(bare, "["); bracketed {
		ip, err := netip.ParseAddr(strings.TrimSuffix(inner, "]"))
		ok = ok && err == nil && ip.Is6() && ip.Zone() == ""
	} else {
		ok = ok && ascii.IsHostName(bare)
	}
	if !ok {
		return errors.New("is not a host name: it may hold letters, digits, hyphens and inner dots; " +
			"give an international name in its xn-- form")
	}
	return nil
}

// has reports whether name is a local or a configured one. That excludes the shop's own.
func (h hosts) has(name string) bool {
	return ascii.EqualFold(name, "localhost") || name == "127.0.0.1" || name == "[::1]" || h.hasExtra(name)
}

func (h hosts) hasExtra(name string) bool {
	for _, extra := range h.extra {
		if ascii.EqualFold(name, extra) {
			return true
		}
	}
	return false
}

// hostname splits the port off a Host header. It is strict, because what follows the
// name must not be read in another way by anyone: no user, no space, no second colon.
// Brackets stay.
func hostname(host string) (name string, ok bool) {
	name, port := host, ""
	if strings.HasPrefix(host, "[") {
		end := strings.IndexByte(host, ']') + 1
		name, port = host[:end], host[end:]
	} else if colon := strings.IndexByte(host, ':'); colon >= 0 {
		name, port = host[:colon], host[colon:]
	}
	return name, name != "" && (port == "" || port[0] == ':' && validPort(port[1:]))
}

// validPort accepts 1 to 65535 in the usual spelling.
func validPort(s string) bool {
	n, err := strconv.ParseUint(s, 10, 16)
	return err == nil && n > 0 && s[0] != '0'
}

// localName returns what stands before .localhost.
func localName(name string) (sub string, ok bool) {
	if !ascii.HasSuffixFold(name, localSuffix) {
		return "", false
	}
	sub = name[:len(name)-len(localSuffix)]
	return sub, ascii.IsHostName(sub)
}

// hostless reports whether r came without a Host and may: an HTTP/1.0 client that is on
// this machine. No browser speaks that, so there is no name that could have been forged.
func hostless(r *request.Request) bool {
	if r.Host != "" || !r.HTTP10 {
		return false
	}
	switch addr := r.Local.(type) {
	case *net.UnixAddr:
		return true
	case *net.TCPAddr:
		return addr.IP.IsLoopback()
	}
	return false
}

// FromLoopback reports whether the caller is on this machine: its address is a loopback
// one, or it came through a Unix socket.
func FromLoopback(r *request.Request) bool {
	if _, ok := r.Local.(*net.UnixAddr); ok {
		return true // such a caller has no address to look at
	}
	remote, err := netip.ParseAddrPort(r.Remote)
	return err == nil && remote.Addr().IsLoopback()
}

// isAddress reports whether a host is an IP address, as hostname returns it.
func isAddress(name string) bool {
	bare := strings.TrimSuffix(strings.TrimPrefix(name, "["), "]")
	ip, err := netip.ParseAddr(bare)
	return err == nil && ip.Zone() == "" && (len(bare) == len(name) && ip.Is4() || len(bare) == len(name)-2 && ip.Is6())
}

// isClusterName reports whether a name is one of those that Kubernetes and Compose give: a single
// label, a Service's, or one below cluster.local. No public name can be any of these.
func isClusterName(name string) bool {
	name = strings.TrimSuffix(name, ".")
	return ascii.IsHostName(name) &&
		(!strings.Contains(name, ".") || ascii.HasSuffixFold(name, ".svc") || ascii.HasSuffixFold(name, ".cluster.local"))
}

// misdirectedTool is the answer to a tool whose Host is none of those that are served. Who asks is not known yet, so no shop is named.
func misdirectedTool(host string) error {
	if name, ok := hostname(host); ok && ascii.HasSuffixFold(name, shopSuffix) {
		return denial.New(http.StatusMisdirectedRequest, denial.CodeMisdirectedHost, "The shop "+denial.Quote(host)+" is not served here. "+HowToName("acme"+shopSuffix))
	}
	return misdirected(host)
}

func misdirected(host string) error {
	message := "This request names no host. Send a Host header such as localhost."
	if host != "" {
		message = "Evergate does not answer to the host " + denial.Quote(host) + ". " +
			"Call it as localhost, or add the name to EVERGATE_ALLOWED_HOSTS."
	}
	return denial.New(http.StatusMisdirectedRequest, denial.CodeMisdirectedHost, message)
}
