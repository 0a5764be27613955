package shopsfile

import (
	"fmt"

	"evergate/internal/listen"
	"evergate/internal/remedy"
	"evergate/internal/token"
)

// takeListeners takes the addresses of settings.
func (r *reader) takeListeners() {
	for _, t := range r.Taken {
		for _, a := range t.Addresses {
			r.bound.Take(a, t.Setting)
		}
	}
}

// addresses reads what listen says.
func (r *reader) addresses(line int, what, text string) []listen.Address {
	all, err := listen.Parse(text)
	if err != nil {
		r.add(line, remedy.Prefix(what+": listen", err))
		return nil
	}
	for _, a := range all {
		if !a.Shop.IsZero() {
			r.addf(line, "write the address alone", "%s: listen names a shop before the @", what)
			return nil
		}
		if r.Reach != nil {
			r.add(line, remedy.Prefix(what, r.Reach(a)))
		}
	}
	return all
}

// listeners are a shop's own, which nobody else may have.
func (r *reader) listeners(name token.Shop, o *own) (all []listen.Address) {
	for _, a := range o.listen {
		if other := r.bound.Take(a, fmt.Sprintf("%s (%s)", name, r.lineOf(name))); other != "" {
			r.addf(o.listenLine, "give each an address of its own", "%s: listen is %s, which %s has already", name, a, other)
		}
		a.Shop = name
		all = append(all, a)
	}
	return all
}

// checkPins refuses listeners of settings that are for a shop that cannot be served.
func (r *reader) checkPins(f *File) {
	for _, t := range r.Taken {
		for _, a := range t.Addresses {
			if _, named := f.Shop(a.Shop); a.Shop.IsZero() || a.Shop == r.Single || named || f.Stored || !r.none() {
				continue
			}
			r.addf(0, "name the shop below shops:, or write stored: true", "%s has the listen address %q, and it does not name %s", t.Setting, a, a.Shop)
		}
	}
}
