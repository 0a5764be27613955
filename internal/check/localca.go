package check

import (
	"context"
	"time"

	"evergate/internal/localca"
)

// LocalCA says how the authority of this machine's own clients stands. It makes none. needed says that a listener
// cannot do without one.
func LocalCA(ca *localca.Authority, needed bool) Check {
	return Check{Name: "local-ca", Needs: []string{"configuration"}, Run: func(context.Context) []Result {
		s, err := ca.Status()
		switch {
		case err != nil && s.Place == "" && !needed:
			return ok("clients that speak https alone cannot be served, if there are any: %s", err)
		case err != nil:
			return FromError(Fail, err)
		case s.Ends.IsZero():
			return ok("none has been needed; one will be made in %s", s.Place)
		case s.Near() && s.SuccessorEnds.IsZero():
			return warn("run evergate ca install, which makes its successor, or hand out evergate ca again", "the one in %s ends on %s", s.Place, day(s.Ends))
		case s.Near():
			return warn("have clients trust its successor, with evergate ca install or evergate ca, unless they do", "the one in %s ends on %s, its successor on %s", s.Place, day(s.Ends), day(s.SuccessorEnds))
		}
		return ok("the one in %s ends on %s", s.Place, day(s.Ends))
	}}
}

func day(t time.Time) string { return t.UTC().Format(time.DateOnly) }
