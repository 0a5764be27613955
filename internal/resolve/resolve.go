// Package resolve looks names up at name servers, and in no file of this machine: where /etc/hosts leads a name to us, we
// have to know where it leads the rest of the world.
//
// Invariants: an answer counts only if it is to the question that was asked, from where it was asked, and only addresses that
// the name leads to through its aliases are taken from it. Messages are read by dnsmessage; nothing of them is repeated in an
// error.
package resolve

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/net/dns/dnsmessage"

	"evergate/internal/readfile"
)

const (
	// Conf stands in place of an address for the name servers of /etc/resolv.conf.
	Conf = "resolv.conf"

	confFile = "/etc/resolv.conf"
	dnsPort  = "53"
	// tryFor is how long one server may take, and tries how often one is asked.
	tryFor = 2 * time.Second
	tries  = 3
	// largest is the size of a message over UDP that needs no leave (RFC 1035, 4.2.1).
	largest = 512
	// mostServers is how many of a resolv.conf are used, as resolv.conf(5) has it.
	mostServers = 3
	// largestConf bounds in bytes what is read of one.
	largestConf = 64 << 10
	// mostAliases bounds the chain of a name's aliases.
	mostAliases = 16
)

// Resolver looks names up. It is safe for concurrent use.
type Resolver struct {
	servers func() ([]string, error)
}

// Parse reads what names the servers: an IP address, with or without a port, or Conf, which is read anew for each
// look-up.
func Parse(spec string) (*Resolver, error) {
	if spec == Conf {
		return &Resolver{servers: func() ([]string, error) { return serversOf(confFile) }}, nil
	}
	server, err := serverAddress(spec)
	if err != nil {
		return nil, err
	}
	return &Resolver{servers: func() ([]string, error) { return []string{server}, nil }}, nil
}

var errNoServer = errors.New("it is neither an IP address, with or without a port, nor " + Conf)

func serverAddress(spec string) (string, error) {
	if ip, err := netip.ParseAddr(strings.Trim(spec, "[]")); err == nil {
		return net.JoinHostPort(ip.String(), dnsPort), nil
	}
	if at, err := netip.ParseAddrPort(spec); err == nil && at.Port() != 0 {
		return at.String(), nil
	}
	return "", errNoServer
}

// serversOf reads a resolv.conf.
func serversOf(path string) (servers []string, _ error) {
	text, err := readfile.Read(path, largestConf)
	if err != nil {
		return nil, err
	}
	for line := range strings.Lines(string(text)) {
		fields := strings.Fields(line)
		if len(servers) == mostServers {
			break
		}
		if len(fields) < 2 || fields[0] != "nameserver" {
			continue
		}
		if server, err := serverAddress(fields[1]); err == nil {
			servers = append(servers, server)
		}
	}
	if len(servers) == 0 {
		return nil, errors.New(path + " names no name server")
	}
	return servers, nil
}

// Lookup returns the addresses of a host, IPv4 first. The error is a *net.DNSError or that of ctx.
func (r *Resolver) Lookup(ctx context.Context, host string) ([]netip.Addr, error) {
	servers, err := r.servers()
	if err != nil {
		return nil, &net.DNSError{Err: err.Error(), Name: host}
	}
	name, err := dnsmessage.NewName(strings.TrimSuffix(host, ".") + ".")
	if err != nil {
		return nil, &net.DNSError{Err: "no such host", Name: host, IsNotFound: true}
	}
	kinds := [...]dnsmessage.Type{dnsmessage.TypeA, dnsmessage.TypeAAAA}
	var found [len(kinds)][]netip.Addr
	var failed [len(kinds)]error
	var both sync.WaitGroup
	for i, kind := range kinds {
		both.Go(func() {
			found[i], failed[i] = lookUp(ctx, servers, dnsmessage.Question{Name: name, Type: kind, Class: dnsmessage.ClassINET})
		})
	}
	both.Wait()
	all := slices.Concat(found[0], found[1])
	switch err := errors.Join(failed[:]...); {
	case len(all) > 0:
		return all, nil
	case ctx.Err() != nil:
		return nil, context.Cause(ctx)
	case err == nil || errors.Is(err, errNoSuchName):
		return nil, &net.DNSError{Err: "no such host", Name: host, IsNotFound: true}
	default:
		return nil, &net.DNSError{Err: "no name server gave an answer", Name: host, IsTemporary: true}
	}
}

var (
	errNoSuchName = errors.New("no such name")
	errNoAnswer   = errors.New("the server did not answer the question")
)

// lookUp asks the servers in turn until one knows.
func lookUp(ctx context.Context, servers []string, q dnsmessage.Question) (all []netip.Addr, err error) {
	for try := range tries * len(servers) {
		if all, err = ask(ctx, servers[try%len(servers)], q); err == nil || errors.Is(err, errNoSuchName) || ctx.Err() != nil {
			return all, err
		}
	}
	return nil, err
}

// ask asks one server, by TCP if its answer is too large for UDP.
func ask(ctx context.Context, server string, q dnsmessage.Question) ([]netip.Addr, error) {
	ctx, stop := context.WithTimeout(ctx, tryFor)
	defer stop()
	id := uint16(rand.Uint32()) //nolint:gosec // the truncation is meant
	question, err := packed(id, q)
	if err != nil {
		return nil, err
	}
	all, truncated, err := exchange(ctx, "udp", server, id, question, q)
	if truncated {
		all, _, err = exchange(ctx, "tcp", server, id, question, q)
	}
	return all, err
}

// packed is a message that asks q.
func packed(id uint16, q dnsmessage.Question) ([]byte, error) {
	b := dnsmessage.NewBuilder(nil, dnsmessage.Header{ID: id, RecursionDesired: true})
	if err := b.StartQuestions(); err != nil {
		return nil, err
	}
	if err := b.Question(q); err != nil {
		return nil, err
	}
	return b.Finish()
}

func exchange(ctx context.Context, network, server string, id uint16, question []byte, q dnsmessage.Question) (all []netip.Addr, truncated bool, _ error) {
	var d net.Dialer
	conn, err := d.DialContext(ctx, network, server)
	if err != nil {
		return nil, false, err
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })()
	if network == "tcp" {
		question = append(binary.BigEndian.AppendUint16(nil, uint16(len(question))), question...)
	}
	if _, err := conn.Write(question); err != nil {
		return nil, false, err
	}
	for {
		answer, err := receive(conn, network)
		if err != nil {
			return nil, false, err
		}
		if all, truncated, err = read(answer, id, q); !errors.Is(err, errNoAnswer) || network == "tcp" {
			return all, truncated, err
		} // else it is somebody else's, and ours is still to come
	}
}

func receive(conn net.Conn, network string) ([]byte, error) {
	if network != "tcp" {
		buf := make([]byte, largest)
		n, err := conn.Read(buf)
		return buf[:n], err
	}
	var size [2]byte
	if _, err := io.ReadFull(conn, size[:]); err != nil {
		return nil, err
	}
	buf := make([]byte, binary.BigEndian.Uint16(size[:]))
	_, err := io.ReadFull(conn, buf)
	return buf, err
}

// read takes the addresses of what was asked for out of an answer. errNoAnswer says that it is none to q.
func read(answer []byte, id uint16, q dnsmessage.Question) (all []netip.Addr, truncated bool, _ error) {
	var p dnsmessage.Parser
	head, err := p.Start(answer)
	if err != nil || !head.Response || head.ID != id {
		return nil, false, errNoAnswer
	}
	asked, err := p.Question()
	if err != nil || asked.Type != q.Type || asked.Class != q.Class || !sameName(asked.Name, q.Name) {
		return nil, false, errNoAnswer
	}
	if err := p.SkipAllQuestions(); err != nil {
		return nil, false, errNoAnswer
	}
	switch {
	case head.Truncated:
		return nil, true, nil
	case head.RCode == dnsmessage.RCodeNameError:
		return nil, false, errNoSuchName
	case head.RCode != dnsmessage.RCodeSuccess:
		return nil, false, errors.New("the server refused or failed")
	}
	answers, err := answersOf(&p)
	if err != nil {
		return nil, false, errors.New("the answer is malformed")
	}
	name := q.Name
	for range mostAliases {
		alias, found := follow(answers, name)
		if len(found) > 0 {
			return found, false, nil
		}
		if alias == nil {
			return nil, false, nil // there is such a name, and it has no address of this kind
		}
		name = *alias
	}
	return nil, false, nil
}

// resource is a resource record of a kind that is of use here.
type resource struct {
	of    dnsmessage.Name
	alias *dnsmessage.Name // nil: it is an address
	addr  netip.Addr
}

// answersOf reads the records of an answer one by one. Parser.AllAnswers would link what reads, writes and prints every kind
// of record there is.
func answersOf(p *dnsmessage.Parser) (all []resource, _ error) {
	for {
		head, err := p.AnswerHeader()
		if errors.Is(err, dnsmessage.ErrSectionDone) {
			return all, nil
		}
		if err != nil {
			return nil, err
		}
		r := resource{of: head.Name}
		switch {
		case head.Class != dnsmessage.ClassINET:
			err = p.SkipAnswer()
		case head.Type == dnsmessage.TypeA:
			var body dnsmessage.AResource
			body, err = p.AResource()
			r.addr = netip.AddrFrom4(body.A)
		case head.Type == dnsmessage.TypeAAAA:
			var body dnsmessage.AAAAResource
			body, err = p.AAAAResource()
			r.addr = netip.AddrFrom16(body.AAAA)
		case head.Type == dnsmessage.TypeCNAME:
			var body dnsmessage.CNAMEResource
			body, err = p.CNAMEResource()
			r.alias = &body.CNAME
		default:
			err = p.SkipAnswer()
		}
		if err != nil {
			return nil, err
		}
		if r.alias != nil || r.addr.IsValid() {
			all = append(all, r)
		}
	}
}

// follow finds what an answer says of one name.
func follow(answers []resource, name dnsmessage.Name) (alias *dnsmessage.Name, found []netip.Addr) {
	for _, r := range answers {
		switch {
		case !sameName(r.of, name):
		case r.alias != nil:
			alias = r.alias
		default:
			found = append(found, r.addr)
		}
	}
	return alias, found
}

func sameName(a, b dnsmessage.Name) bool {
	if a.Length != b.Length {
		return false
	}
	for i := range a.Data[:a.Length] {
		if lower(a.Data[i]) != lower(b.Data[i]) {
			return false
		}
	}
	return true
}

func lower(c byte) byte {
	if 'A' <= c && c <= 'Z' {
		c += 'a' - 'A'
	}
	return c
}
