package grantadmin

import (
	"context"
	"errors"
	"fmt"
	"time"

	"evergate/internal/config"
	"evergate/internal/remedy"
	"evergate/internal/shopify"
	"evergate/internal/store"
	"evergate/internal/token"
)

// verifyLimit bounds the question whether Shopify accepts a token.
const verifyLimit = 30 * time.Second

// Mistaken finds values that are no token that can be kept.
func (a *Admin) Mistaken(s token.Secret, isRefresh bool) error {
	switch kind := shopify.CredentialOf(s); {
	case kind == shopify.ClientSecret:
		return config.Wrong(remedy.New("set SHOPIFY_CLIENT_SECRET to it", "this is %s", kind))
	case kind == shopify.ThemeAccessPassword, kind == shopify.AutomationToken:
		return config.Wrong(remedy.New("give a token of an app", "this is %s, which the Admin API does not accept", kind))
	case kind == shopify.OnlineToken:
		return config.Wrong(remedy.New("run "+a.Remedies.Command("login")+" for one that lasts", "this is %s", kind))
	case kind == shopify.RefreshToken && !isRefresh:
		return config.Wrong(remedy.New("drop --access", "this is %s", kind))
	case isRefresh && (kind == shopify.AccessToken || kind == shopify.CustomAppToken):
		return config.Wrong(remedy.New("drop --refresh", "this is %s", kind))
	case !isOneWord(s.Reveal()):
		return config.Wrong(remedy.New("it holds spaces, quotation marks or other characters that no token has; copy it again", "this is no token"))
	}
	return nil
}

// isOneWord reports whether s can be a token: visible ASCII without quotation marks.
func isOneWord(s string) bool {
	for i := range len(s) {
		if s[i] <= ' ' || s[i] > '~' || s[i] == '"' || s[i] == '\'' {
			return false
		}
	}
	return s != ""
}

// Verify asks Shopify whether it accepts an access token and what it may do.
func (a *Admin) Verify(ctx context.Context, access token.Secret) (token.Token, error) {
	t := token.Token{Access: access, Issued: time.Now().Round(0)}
	ctx, cancel := context.WithTimeout(ctx, verifyLimit)
	defer cancel()
	scopes, err := a.API.Scopes(ctx, access)
	switch {
	case errors.Is(err, shopify.ErrNonExpiring):
		return token.Token{}, fmt.Errorf("%w (set SHOPIFY_ACCESS_TOKEN to this token for that)", err)
	case errors.Is(err, shopify.ErrToken):
		return token.Token{}, fmt.Errorf("not stored: %w, and see that it belongs to this shop and app", err)
	case err != nil:
		return token.Token{}, fmt.Errorf("not stored, because it could not be verified: %w; --no-verify stores it all the same", err)
	}
	t.Scopes = scopes
	return t, nil
}

// HoldsSame reports whether a token is stored already, or what it brought when it was used,
// in a grant that is not dead.
func HoldsSame(old, next token.Record) bool {
	if old.IsBlank() || old.Reauthorize != nil || old.ClientID != next.ClientID {
		return false
	}
	access, refresh := next.Current.Token.Access, next.Current.Refresh
	if refresh.Empty() {
		return old.Current.Token.Access.Equal(access) && IsPermanent(old.Current) || old.Original.Equal(access)
	}
	return old.Current.Refresh.Equal(refresh) || old.Previous != nil && old.Previous.Refresh.Equal(refresh)
}

// IsWorthKeeping reports a grant whose loss would matter: not one that is dead, nor one
// that can be obtained again by asking.
func IsWorthKeeping(r token.Record) bool {
	return !r.IsBlank() && r.Reauthorize == nil && r.Grant == config.GrantOffline
}

// errChanged is for a grant that appeared between the question and the answer.
var errChanged = errors.New("another grant was stored just now")

// lookAgain is what to do about what has changed meanwhile.
func (a *Admin) lookAgain(changed error) error {
	return remedy.New("look at it with "+a.Remedies.Command("token show")+", then run the command again", "%w", changed)
}

// Import stores next instead of old, which is what was asked about, as the beginning of a chain.
func (a *Admin) Import(old, next token.Record, evenOver bool) error {
	ctx, cancel := context.WithTimeout(context.Background(), replaceWait)
	defer cancel()
	return store.Replace(ctx, a.Store, func(stored token.Record) (token.Record, error) {
		if !evenOver && IsWorthKeeping(stored) && !IsWorthKeeping(old) {
			return token.Record{}, a.lookAgain(errChanged)
		}
		return token.Begin(next), nil
	})
}
