package shopsim

import (
	"encoding/json"
	"net/http"
	"strings"
	"time"
)

// tokenAnswer is the success of the token endpoint, whatever the grant.
type tokenAnswer struct {
	AccessToken      string          `json:"access_token"`
	Scope            string          `json:"scope"`
	ExpiresIn        json.RawMessage `json:"expires_in,omitempty"`
	RefreshToken     string          `json:"refresh_token,omitempty"`
	RefreshExpiresIn *int64          `json:"refresh_token_expires_in,omitempty"`
	UserScope        string          `json:"associated_user_scope,omitempty"`
	User             *userAnswer     `json:"associated_user,omitempty"`
}

// userAnswer is the person that an online token belongs to.
type userAnswer struct {
	ID            int64  `json:"id"`
	FirstName     string `json:"first_name"`
	LastName      string `json:"last_name"`
	Email         string `json:"email"`
	EmailVerified bool   `json:"email_verified"`
	AccountOwner  bool   `json:"account_owner"`
	Locale        string `json:"locale"`
	Collaborator  bool   `json:"collaborator"`
}

// handOver answers with a token and, if r is not nil, its refresh token.
func (s *Sim) handOver(q *request, t *token, r *refreshToken, repeated bool, f Fault) *response {
	event := TokenEvent{Time: q.now, Shop: q.shop.domain, ClientID: t.app.id, Grant: q.grant, Token: t.value, Repeated: repeated}
	answer := tokenAnswer{AccessToken: t.value, Scope: strings.Join(t.scopes, ",")}
	if !t.expires.IsZero() {
		event.Life = t.expires.Sub(q.now)
		answer.ExpiresIn = f.expiresIn(wholeSeconds(event.Life))
	}
	if r != nil {
		if f.keepsAnswer() {
			r.deliveries++
			q.handed = r
		}
		event.RefreshToken = r.value
		answer.RefreshToken = r.value
		answer.RefreshExpiresIn = new(wholeSeconds(r.expires.Sub(q.now)))
	}
	if t.kind == kindOnline {
		answer.UserScope = answer.Scope
		answer.User = &userAnswer{ID: t.user, FirstName: "Ada", LastName: "Finch", Email: "owner@example.com",
			EmailVerified: true, AccountOwner: true, Locale: "en"}
	}
	q.minted = &event
	return jsonResponse(http.StatusOK, answer)
}

func wholeSeconds(d time.Duration) int64 { return int64(d / time.Second) }
