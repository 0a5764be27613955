package shopsim

import (
	"maps"
	"net/http"
	"slices"
	"time"
)

// controlChains shows every chain of refresh tokens by fingerprints, and the
// tokens themselves if reveal=true.
func (s *Sim) controlChains(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	out := s.chainViews(reveals(r), time.Now())
	s.mu.Unlock()
	writeControl(w, http.StatusOK, map[string]any{"chains": out})
}

func (s *Sim) chainViews(reveal bool, now time.Time) []any {
	named := map[string]grantKey{} // names are sorted, and not keys: that is less code
	for k := range s.state.chains {
		named[k.shop.domain+" "+k.app.id] = k
	}
	out := []any{}
	for _, name := range slices.Sorted(maps.Keys(named)) {
		k := named[name]
		ch := s.state.chains[k]
		if len(ch.tokens) == 0 {
			continue
		}
		generations := []any{}
		for i, g := range s.state.generations(k, now) {
			view := g.view()
			if reveal {
				view["refresh_token"] = ch.tokens[i].value
				view["access_token"] = ch.tokens[i].access.value
			}
			generations = append(generations, view)
		}
		out = append(out, map[string]any{"shop": k.shop.domain, "client_id": k.app.id,
			"alive": ch.alive(s.state.settings, now), "held": ch.held(s.state.settings, now), "generations": generations})
	}
	return out
}

func (g Generation) view() map[string]any {
	view := map[string]any{"fingerprint": g.Fingerprint, "access_fingerprint": g.AccessToken, "created": g.Created,
		"expires": g.Expires, "honoured": g.Honoured, "delivered": g.Delivered}
	if !g.FirstUsed.IsZero() {
		view["first_used"] = g.FirstUsed
		view["successor"] = g.Successor
	}
	if g.Retired != "" {
		view["retired"] = g.Retired
	}
	return view
}

// The actions below show what they make: that is what they were asked for.

func (s *Sim) issueCode(in installationWire) (any, error) {
	if err := s.known(in.Shop, in.ClientID); err != nil {
		return nil, err
	}
	return map[string]string{"code": s.IssueCode(in.Shop, in.ClientID)}, nil
}

func (s *Sim) issuePair(in installationWire) (any, error) {
	if err := s.known(in.Shop, in.ClientID); err != nil {
		return nil, err
	}
	access, refresh := s.IssuePair(in.Shop, in.ClientID)
	return map[string]string{"access_token": access, "refresh_token": refresh}, nil
}

func (s *Sim) issueSession(in installationWire) (any, error) {
	if err := s.known(in.Shop, in.ClientID); err != nil {
		return nil, err
	}
	return map[string]string{"session_token": s.SessionToken(in.Shop, in.ClientID)}, nil
}

func (s *Sim) endChain(in installationWire) (any, error) {
	if err := s.known(in.Shop, in.ClientID); err != nil {
		return nil, err
	}
	return map[string]int{"ended": s.EndChain(in.Shop, in.ClientID)}, nil
}
