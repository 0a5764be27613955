package policy

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync/atomic"

	"evergate/internal/reload"
	"evergate/internal/remedy"
)

// Options says which policies there are. The zero value lets everybody do everything.
type Options struct {
	// Policy is the name of a built-in policy for everybody; empty: full.
	Policy string
	// File takes the place of Policy: it says what holds for whom.
	File string
	// Everybody is the name of a policy, of File or built-in, that holds whoever calls and whatever else is said; empty: none does.
	Everybody string
}

// Policies says which policy holds for whom. What rests in a file is read again when it
// changes. Its methods are safe for concurrent use.
type Policies struct {
	book      atomic.Pointer[book]
	files     reload.Values
	everybody string // see Options
}

// book is all policies at one moment. It is immutable.
type book struct {
	byName    map[string]*Policy // the built-in ones too
	byCaller  map[string]*Policy
	byDefault *Policy
}

// New returns policies that have read no file yet: Files has the one that must be loaded. Until
// then, and where Policy names none that there is, nothing passes.
func New(o Options) (*Policies, error) {
	p := &Policies{everybody: o.Everybody}
	b := &book{byName: builtIn()}
	p.book.Store(b)
	switch b.byDefault = b.byName[None]; {
	case o.File != "":
		p.files = reload.Values{reload.New("EVERGATE_POLICY_FILE", []string{o.File}, p.take)}
	case o.Policy == "":
		b.byDefault = b.byName[Full]
	case b.byName[o.Policy] == nil:
		return p, remedy.New("write full, read-only or none, or write policies of your own into EVERGATE_POLICY_FILE", "EVERGATE_POLICY=%q", o.Policy)
	default:
		b.byDefault = b.byName[o.Policy]
	}
	return p, nil
}

// Files is what has to be loaded before the first request, and watched.
func (p *Policies) Files() reload.Values { return p.files }

func (p *Policies) take(contents [][]byte) error {
	b, err := parsePolicies(contents[0])
	if err == nil {
		p.book.Store(b)
	}
	return err
}

// Of returns the policy that holds for a caller: the one that its key names, or that of its
// name, or everybody's. One that a key names and that is gone lets nothing through.
func (p *Policies) Of(caller, named string) *Policy {
	b := p.book.Load()
	if p.everybody != "" {
		named = p.everybody
	}
	if named != "" {
		if p := b.byName[named]; p != nil {
			return p
		}
		return &Policy{name: named}
	}
	if p := b.byCaller[caller]; p != nil {
		return p
	}
	return b.byDefault
}

// Has reports whether there is a policy of this name.
func (p *Policies) Has(name string) bool { return p.book.Load().byName[name] != nil }

// Names reports whether a policy holds for a caller by this name.
func (p *Policies) Names(caller string) bool {
	return p.everybody == "" && p.book.Load().byCaller[caller] != nil
}

// mostDescribed bounds how many are named in a summary.
const mostDescribed = 6

// Describe says for people what holds for whom, in a few words.
func (p *Policies) Describe() string {
	b := p.book.Load()
	if p.everybody != "" {
		return "for everybody " + p.Of("", "").describe()
	}
	parts := []string{"by default " + b.byDefault.describe()}
	for _, name := range slices.Sorted(maps.Keys(b.byCaller)) {
		parts = append(parts, name+" "+b.byCaller[name].describe())
	}
	if more := len(parts) - mostDescribed; more > 0 {
		parts = append(parts[:mostDescribed], fmt.Sprintf("%d more callers", more))
	}
	return strings.Join(parts, ", ")
}

func (p *Policy) describe() string {
	if p.report {
		return p.name + " (reported only)"
	}
	return p.name
}

// StrayKeys reports every key whose policy is not there. each calls its argument with a
// caller's name and the policy that its key names.
func (p *Policies) StrayKeys(each func(yield func(caller, policy string))) error {
	var errs []error
	each(func(caller, policy string) {
		if !p.Has(policy) {
			errs = append(errs, remedy.New("write it into EVERGATE_POLICY_FILE", "EVERGATE_CLIENT_KEYS_FILE: the key of %s names the policy %s, which is not there", caller, policy))
		}
	})
	return errors.Join(errs...)
}
