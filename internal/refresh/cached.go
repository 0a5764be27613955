package refresh

import (
	"context"
	"errors"

	"evergate/internal/token"
)

// cached is a grant that can always ask again and whose tokens are kept, so that a process
// that lives for a minute does not need one of its own.
type cached struct {
	*persister
	granter Granter
}

func (g cached) obtain(ctx context.Context, req request) (token.Token, error) {
	release, err := g.lease(ctx)
	if err != nil {
		g.log.Warn("going on without the store", "shop", g.shop.Domain(), "err", err)
		return g.granter.Grant(ctx)
	}
	defer release()
	loadErr := g.load(ctx)
	if t, ok := g.adopt(req); loadErr == nil && g.record.Grant == g.grant && ok {
		return t, nil
	}
	t, err := g.granter.Grant(ctx)
	if err != nil {
		return token.Token{}, err
	}
	if loadErr != nil && !errors.Is(loadErr, token.ErrNotFound) {
		g.log.Warn("the token is not kept", "shop", g.shop.Domain(), "err", loadErr)
		return t, nil // what cannot be read is not overwritten
	}
	if loadErr == nil && g.record.Grant != g.grant {
		g.log.Warn("the token is not kept: the store holds a grant of another kind, which must not be lost", "shop", g.shop.Domain(), "stored", g.record.Grant)
		return t, nil
	}
	if err := g.save(ctx, token.Record{Writer: g.writer, Current: token.Pair{Token: t}}); err != nil {
		g.unsaved = nil // such a token can be had again: not worth holding anything up
		g.show()
	}
	return t, nil
}

// poll takes over a token that another process stored.
func (g cached) poll(ctx context.Context) (token.Token, bool) {
	t, ok := g.persister.poll(ctx)
	return t, ok && g.record.Grant == g.grant
}
