package refresh

import (
	"context"
	"errors"
	"log/slog"
	"testing"
	"time"

	"evergate/internal/token"
)

// other is the grant beside a stored one.
type other struct {
	err   error
	calls int
}

func (o *other) Name() string { return "client_credentials" }

func (o *other) Grant(context.Context) (token.Token, error) {
	o.calls++
	return token.Token{Access: token.NewSecret("shpat_other"), Issued: time.Now(), Life: 24 * time.Hour}, o.err
}

// refusing is a Refresher that always ends in err.
type refusing struct{ err error }

func (refusing) Name() string { return "offline" }

func (r refusing) Refresh(context.Context, token.Secret) (token.Pair, error) {
	return token.Pair{}, r.err
}

func fallbackOn(t *testing.T, record token.Record, refreshErr error, o *other, alive bool) *fallback {
	t.Helper()
	shop, err := token.ParseShop("acme")
	if err != nil {
		t.Fatal(err)
	}
	s := newShelf()
	s.put(record)
	f := Fallback{Granter: o, Alive: func(context.Context, token.Secret) (bool, error) { return alive, nil }}
	return RotatingOr(refusing{refreshErr}, s, "", f)(Options{Shop: shop, Log: slog.New(slog.DiscardHandler)}).(*fallback)
}

var (
	errEnded       = token.Decide(token.ErrReauthorize, errors.New("it is no longer active"))
	errErring      = token.Decide(token.ErrTransient, errors.New("status 503"))
	endedGrant     = token.Pair{Token: token.Token{Access: token.NewSecret("shpat_old"), Issued: time.Now().Add(-2 * time.Hour), Life: time.Hour}, Refresh: token.NewSecret("shprt_old")}
	liveGrant      = token.Pair{Token: token.Token{Access: token.NewSecret("shpat_old"), Issued: time.Now(), Life: time.Hour}, Refresh: token.NewSecret("shprt_old")}
	permanentGrant = token.Pair{Token: token.Token{Access: token.NewSecret("shpat_old"), Issued: time.Now()}}
	verdict        = &token.Reauthorize{Since: time.Now(), Reason: "it was ended"}
)

func TestOtherGrantIsAskedOnlyWhileTheStoredOneIsDead(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		record     token.Record
		refresh    error
		other      error
		alive      bool
		refused    bool   // the stored token was refused with 401
		want       string // the token
		decision   error  // of the error, where there is none
		isDeadSeen bool   // status asks for a person
	}{
		"living":                 {record: token.Record{Current: liveGrant}, want: "shpat_old"},
		"known_dead":             {record: token.Record{Current: liveGrant, Reauthorize: verdict}, want: "shpat_other"},
		"known_dead_other_fails": {record: token.Record{Current: liveGrant, Reauthorize: verdict}, other: errErring, want: "shpat_old", isDeadSeen: true},
		"dead_at_refresh":        {record: token.Record{Current: endedGrant}, refresh: errEnded, want: "shpat_other"},
		"busy_is_not_dead":       {record: token.Record{Current: endedGrant}, refresh: errErring, decision: token.ErrTransient},
		"dead_and_other_busy":    {record: token.Record{Current: endedGrant}, refresh: errEnded, other: errErring, decision: token.ErrTransient, isDeadSeen: true},
		"dead_and_other_refused": {record: token.Record{Current: endedGrant}, refresh: errEnded, other: token.Decide(token.ErrConfig, errors.New("no")), decision: token.ErrReauthorize, isDeadSeen: true},
		"permanent":              {record: token.Record{Current: permanentGrant}, alive: true, want: "shpat_old"},
		"permanent_refused_once": {record: token.Record{Current: permanentGrant}, alive: true, refused: true, want: "shpat_old"},
		"permanent_refused_dead": {record: token.Record{Current: permanentGrant}, refused: true, want: "shpat_other"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := &other{err: tc.other}
			f := fallbackOn(t, tc.record, tc.refresh, o, tc.alive)
			req := request{}
			if tc.refused {
				req.current = tc.record.Current.Token.Access
			}
			got, err := f.obtain(t.Context(), req)
			if tc.want != "" && (err != nil || got.Access.Reveal() != tc.want) || tc.want == "" && !errors.Is(err, tc.decision) {
				t.Errorf("%q %v", got.Access.Reveal(), err)
			}
			for _, d := range []error{token.ErrTransient, token.ErrConfig, token.ErrReauthorize} {
				if !errors.Is(d, tc.decision) && errors.Is(err, d) {
					t.Errorf("%v asks for two things", err)
				}
			}
			if tc.want == "shpat_old" && !tc.isDeadSeen && o.calls != 0 {
				t.Error("the other grant was asked")
			}
			if (f.status().reauthorize != nil) != tc.isDeadSeen {
				t.Errorf("%+v", f.status())
			}
		})
	}
}
