package check

import (
	"context"
	"errors"
	"fmt"
	"iter"

	"evergate/internal/token"
)

// Place is where the grants of many shops are kept.
type Place struct {
	// Where names it for people; empty when nothing is kept. Err is why it cannot be opened.
	Where string
	Err   error
	// Find looks for what is wrong with it, and All lists what is in it.
	Find func(ctx context.Context) []token.Finding
	All  func(ctx context.Context) iter.Seq2[token.Listed, error]
}

// Grants looks whether a place is fit for grants, and how many there are.
func Grants(p Place) Check {
	return Check{Name: "store", Limit: storeLimit, Run: func(ctx context.Context) []Result {
		switch {
		case p.Err != nil:
			return FromError(Fail, p.Err)
		case p.Where == "":
			return ok("nothing is kept, and with these grants nothing needs to be")
		}
		return append(found(p.Find(ctx)), p.count(ctx)...)
	}}
}

// found is what is wrong with a place.
func found(findings []token.Finding) (all []Result) {
	for _, f := range findings {
		if f.Loses {
			all = append(all, fail(f.Do, "%s", f.Text)...)
		} else {
			all = append(all, warn(f.Do, "%s", f.Text)...)
		}
	}
	return all
}

// count lists the grants. A place with very many is not listed to its end.
func (p Place) count(ctx context.Context) []Result {
	grants, broken := 0, 0
	var example, key error
	for l, err := range p.All(ctx) {
		switch {
		case ctx.Err() != nil:
			return ok("%s can be read; grants in it: more than %d, which takes long to list", p.Where, grants)
		case err != nil && l.Domain == "":
			return FromError(Fail, err)
		case err != nil:
			broken++
			if example = err; errors.Is(err, token.ErrKey) {
				key = err
			}
		case l.Record.IsNothing():
		default:
			grants++
		}
	}
	if key != nil && grants == 0 {
		return FromError(Fail, fmt.Errorf("%s: not one of %d grants in it can be read: %w", p.Where, broken, key))
	}
	if broken > 0 {
		return warn("see `evergate store check`", "%s: grants that cannot be read: %d, beside %d that can: %v", p.Where, broken, grants, example)
	}
	return ok("%s can be read; grants in it: %d", p.Where, grants)
}
