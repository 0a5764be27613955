package grant

import (
	"context"
	"time"

	"evergate/internal/remedy"
	"evergate/internal/token"
)

// Static is not a grant in OAuth's sense: it hands out the permanent token of a custom
// app, made in the store's admin before 2026, which does not expire.
type Static struct {
	// Read returns the token. It is called at each Grant, so that a file is read anew.
	Read func() (token.Secret, error)
}

// Name returns the grant's name as it stands in EVERGATE_GRANT and in metrics.
func (Static) Name() string { return "static" }

// Grant reads the token. An error wraps token.ErrConfig.
func (g Static) Grant(context.Context) (token.Token, error) {
	access, err := g.Read()
	if err != nil {
		return token.Token{}, token.Decide(token.ErrConfig, err)
	}
	if !isHeaderSafe(access.Reveal()) {
		return token.Token{}, token.Decide(token.ErrConfig, remedy.New("copy it again", "SHOPIFY_ACCESS_TOKEN is empty or holds characters that no token has"))
	}
	return token.Token{Access: access, Issued: time.Now()}, nil
}
