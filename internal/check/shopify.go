package check

import (
	"context"
	"slices"
	"strings"
	"time"

	"evergate/internal/shopify"
	"evergate/internal/token"
)

const (
	callLimit = 20 * time.Second

	// skewWarning is how wrong a clock may be without a warning: a token's life is counted
	// from our own request, so only what people compare by hand suffers.
	skewWarning = 30 * time.Second
	// skewFailure is beyond what the signature of a callback allows.
	skewFailure = 5 * time.Minute
)

// Shopify is what the checks that call the shop have in common.
type Shopify struct {
	API *shopify.Client
	// Wanted are the scopes that the operator expects; NewScopes says how a grant of this
	// kind gets more of them.
	Wanted    []string
	NewScopes string
	// Token is what the grant's check obtained; empty if it has none.
	Token func() token.Secret

	ahead   *time.Duration // Shopify's clock, once it has greeted
	refused bool           // a call with the token failed already
}

// Shop calls the shop without a token, which tells whether it exists.
func (s *Shopify) Shop() Check {
	return Check{Name: "shop", Needs: []string{"connection"}, Limit: callLimit, Run: func(ctx context.Context) []Result {
		g, err := s.API.Greet(ctx)
		s.ahead = g.ClockAhead
		switch {
		case err != nil:
			return judgeCall(err)
		case g.Status == 401:
			return ok("%s exists", s.API.Shop)
		case g.Status == 429 || g.Status >= 500:
			return fail("try again in a moment", "Shopify is busy or erring (status %d)", g.Status)
		}
		return warn("see whether EVERGATE_UPSTREAM_URL leads to Shopify and whether the shop is open",
			"%s answers a call without a token with status %d; 401 is usual", s.API.Shop, g.Status)
	}}
}

// Clock compares this machine's clock with the shop's.
func (s *Shopify) Clock() Check {
	return Check{Name: "clock", Needs: []string{"connection"}, Run: func(context.Context) []Result {
		if s.ahead == nil {
			return skip("Shopify told no time")
		}
		return judgeSkew(*s.ahead)
	}}
}

func judgeSkew(ahead time.Duration) []Result {
	off, side := ahead.Abs().Round(time.Second), "behind"
	if ahead < 0 {
		side = "ahead of"
	}
	const remedy = "set the clock and keep it right, for example with NTP"
	switch {
	case ahead.Abs() > skewFailure:
		return fail(remedy, "this machine's clock is %s %s Shopify's", off, side)
	case ahead.Abs() > skewWarning:
		return warn(remedy, "this machine's clock is %s %s Shopify's", off, side)
	}
	return ok("this machine's clock agrees with Shopify's within %s", max(off, 2*time.Second))
}

// Scopes asks what the token may do and compares that with what is expected.
func (s *Shopify) Scopes() Check {
	return Check{Name: "scopes", Needs: []string{"grant"}, Limit: callLimit, Run: func(ctx context.Context) []Result {
		if s.Token().Empty() {
			return skip("there is no token to ask with")
		}
		granted, err := s.API.Scopes(ctx, s.Token())
		if err != nil {
			s.refused = true
			return judgeCall(err)
		}
		if missing := token.MissingScopes(s.Wanted, granted); len(missing) > 0 {
			return fail(s.NewScopes, "the token lacks %s, which SHOPIFY_SCOPES names; it has %s", strings.Join(missing, ", "), listed(granted))
		}
		list := ok("the token has %s", listed(granted))
		if s.Wanted == nil {
			list = ok("the token has %s; SHOPIFY_SCOPES, to compare them with, is not set", listed(granted))
		}
		if token.MissingScopes([]string{"read_orders"}, granted) == nil && !slices.Contains(granted, "read_all_orders") {
			list[0].Message += "; without read_all_orders, orders older than 60 days are left out of every answer without a word"
		}
		return list
	}}
}

func listed(scopes []string) string {
	if len(scopes) == 0 {
		return "no scope at all"
	}
	return strings.Join(scopes, ", ")
}

// Version asks which versions of the API there are.
func (s *Shopify) Version() Check {
	return Check{Name: "api-version", Needs: []string{"grant"}, Limit: callLimit, Run: func(ctx context.Context) []Result {
		if s.Token().Empty() {
			return skip("there is no token to ask with")
		}
		if s.refused {
			return skip("a call with the token failed already")
		}
		v, err := s.API.Versions(ctx, s.Token())
		if err != nil {
			return judgeCall(err)
		}
		return judgeVersions(v, time.Now())
	}}
}

// servedFor is how long Shopify serves a version at least, from its first day on, and
// endNotice how long before its end it is worth a warning.
const (
	servedFor = 12 // months
	endNotice = 30 * 24 * time.Hour
)

func judgeVersions(v shopify.Versions, now time.Time) []Result {
	if v.Served != "" && v.Served != shopify.ClientVersion {
		return warn("upgrade Evergate, and see which version your tools ask for",
			"version %s, which this Evergate was made with, is no longer served: %s answers for it", shopify.ClientVersion, v.Served)
	}
	if len(v.Supported) == 0 {
		return ok("version %s is served; Shopify did not say which others are", shopify.ClientVersion)
	}
	oldest := slices.Min(v.Supported)
	released, err := time.Parse("2006-01", oldest)
	if err != nil {
		return ok("Shopify serves %s", strings.Join(v.Supported, ", "))
	}
	end := released.AddDate(0, servedFor, 0)
	if end.Sub(now) < endNotice {
		return warn("see that no tool asks for it any more", "Shopify serves %s; %s is about to be retired, on %s or soon after",
			strings.Join(v.Supported, ", "), oldest, end.Format(time.DateOnly))
	}
	return ok("Shopify serves %s; %s until %s at least", strings.Join(v.Supported, ", "), oldest, end.Format(time.DateOnly))
}

// judgeCall makes a failure of what a call brought.
func judgeCall(err error) []Result {
	r := FromError(Fail, err)
	if r[0].Remedy == "" {
		r[0].Remedy = "try again in a moment"
	}
	return r
}
