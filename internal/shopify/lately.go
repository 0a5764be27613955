package shopify

import (
	"strings"
	"sync/atomic"
)

// lately are the last targets of GraphQL that were read, so that the path of most calls, which is one of a few, is not read anew for each. A Target says
// nothing that is not in its path. It is used by many goroutines at once, and takes no lock.
type lately [16]atomic.Pointer[Target]

// longestLately is how long a path may be that is kept.
const longestLately = 64

func (l *lately) of(raw string) *atomic.Pointer[Target] {
	i := len(raw) - len("-10/graphql.json")
	if i <= 0 {
		return &l[0]
	}
	year, month := raw[i-1]-'0', 10*(raw[i+1]-'0')+raw[i+2]-'0'
	return &l[(4*year+month/3)%uint8(len(l))] // four years of versions have places of their own
}

// find returns the target of a path, if it was read lately.
func (l *lately) find(raw string) (Target, bool) {
	t := l.of(raw).Load()
	if t == nil || t.Path != raw {
		return Target{}, false
	}
	found := *t
	found.Path = raw
	return found, true
}

// keep takes a target for the next time.
func (l *lately) keep(t Target) {
	if !t.IsGraphQL || len(t.Path) > longestLately {
		return
	}
	kept := t                         // only this is allocated
	kept.Path = strings.Clone(t.Path) // which may be a part of something longer
	_, kept.Asked = versionOf(kept.Path)
	l.of(kept.Path).Store(&kept)
}
