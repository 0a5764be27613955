package caller

import (
	"errors"
	"fmt"
	"os/user"
	"strconv"
	"strings"

	"evergate/internal/denial"
	"evergate/internal/remedy"
)

// peer is who is at the other end of a Unix socket, as the kernel has it from the moment
// of connecting.
type peer struct {
	uid    uint32
	groups []uint32
}

// userID is the Key of a caller at a Unix socket that has no name: not the process, or whoever
// starts many has many shares.
type userID uint32

// peerRule lets a user or a group in, by a name if it has one.
type peerRule struct {
	name  string
	group bool
	id    uint32
}

func (r peerRule) fits(p peer) bool {
	if !r.group {
		return r.id == p.uid
	}
	for _, g := range p.groups {
		if g == r.id {
			return true
		}
	}
	return false
}

// overflowID is what the kernel shows for everyone of another user namespace who has no
// counterpart here: a crowd, not a user.
const overflowID = 65534

// parsePeers reads a comma-separated list of uid:N, gid:N, user:NAME and group:NAME, each
// with an optional name= in front. Every mistake is reported.
func parsePeers(list string) (rules []peerRule, _ error) {
	var errs []error
	for _, entry := range strings.Split(list, ",") {
		if entry = strings.TrimSpace(entry); entry == "" {
			continue // a comma too many
		}
		r, err := parsePeer(entry)
		if err != nil {
			errs = append(errs, fmt.Errorf("the peer %s %w", denial.Quote(entry), err))
			continue
		}
		rules = append(rules, r)
	}
	return rules, errors.Join(errs...)
}

func parsePeer(entry string) (r peerRule, err error) {
	who := entry
	if name, rest, ok := strings.Cut(entry, "="); ok {
		if r.name, who = name, rest; !isOwnName(name) {
			return r, remedy.New("use letters, digits and . _ : / @ + -", "has no usable name before the =")
		}
	}
	kind, value, _ := strings.Cut(who, ":")
	var id string
	switch kind {
	case "uid", "gid":
		id = value
	case "user":
		u, failed := user.Lookup(value)
		if failed != nil {
			return r, remedy.New("write uid: and the number", "is a user that this machine does not know")
		}
		id = u.Uid
	case "group":
		g, failed := user.LookupGroup(value)
		if failed != nil {
			return r, remedy.New("write gid: and the number", "is a group that this machine does not know")
		}
		id = g.Gid
	default:
		return r, errors.New("is neither uid:N, gid:N, user:NAME nor group:NAME")
	}
	n, err := strconv.ParseUint(id, 10, 32)
	switch {
	case err != nil || strconv.FormatUint(n, 10) != id:
		return r, remedy.New("write for example uid:1000", "has no usable number")
	case n == overflowID:
		return r, remedy.New("give the user or group an id of its own", "is what the kernel calls everyone of other user namespaces, so it names nobody")
	}
	r.group, r.id = kind == "gid" || kind == "group", uint32(n)
	return r, nil
}
