package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"evergate/internal/check"
	"evergate/internal/config"
	"evergate/internal/grantadmin"
	"evergate/internal/token"
)

// grant obtains a token in the way in which the sidecar does. A stored access token of an
// offline grant is used as it is while it lives, so that no refresh token is spent for a
// question. With client credentials one is obtained in any case: one that was stored says
// nothing about whether the client's secret is right now.
func (c *checkup) grant(ctx context.Context) []check.Result {
	switch c.cfg.Grant {
	case config.GrantClientCredentials:
		t, err := c.installation.TokenAnew(ctx)
		return c.report(t, err, "a token was obtained with client credentials")
	case config.GrantOffline:
		return c.offlineGrant(ctx)
	case config.GrantStatic:
		return c.obtained(ctx, "the permanent token of SHOPIFY_ACCESS_TOKEN is at hand; "+aboutPermanent)
	}
	return one(check.Fail, "", "nothing is known of the grant %q", c.cfg.Grant) // config.Load lets no other through
}

const aboutPermanent = "from 2027 on Shopify refuses such tokens of public apps, see docs/using/permanent-tokens.md"

// offlineGrant looks at the stored grant before it asks for a token.
func (c *checkup) offlineGrant(ctx context.Context) []check.Result {
	record, _, err := c.installation.Store.Load(ctx)
	switch {
	case errors.Is(err, token.ErrNotFound) || err == nil && record.IsBlank():
		return c.nothingStored()
	case err != nil:
		return check.FromError(check.Fail, err)
	}
	if id := c.installation.ClientID(); record.ClientID != "" && record.ClientID != id {
		return check.FromError(check.Fail, grantadmin.OtherApp(c.cfg.Shop, record))
	}
	st := grantadmin.StateOf(record, time.Now())
	switch {
	case st.Reauthorize != nil && c.installation.HasFallback():
		return c.instead(ctx, *record.Reauthorize)
	case st.Reauthorize != nil && !st.Usable:
		return one(check.Fail, "run "+c.login(), "the stored grant is dead since %s (%s), and so is its access token",
			grantadmin.Stamp(st.Reauthorize.Since), st.Reauthorize.Reason)
	case st.Usable:
		c.token = record.Current.Token.Access
		return c.stored(st)
	case c.noRefresh:
		return one(check.Warn, "run the check without --no-refresh, or start the sidecar", "%s; it was not renewed, because of --no-refresh", st.Ended())
	}
	results := c.obtained(ctx, st.Ended()+"; it was renewed as the sidecar would have done, and the new grant is stored")
	if after, _, err := c.installation.Store.Load(ctx); err == nil && after.Reauthorize != nil && c.installation.HasFallback() {
		return c.instead(ctx, *after.Reauthorize)
	}
	return results
}

// instead obtains a token where the stored grant is dead and there are client credentials.
func (c *checkup) instead(ctx context.Context, dead token.Reauthorize) []check.Result {
	results := c.obtained(ctx, fmt.Sprintf("the stored grant is dead since %s (%s); client credentials are used in its place", grantadmin.Stamp(dead.Since), dead.Reason))
	if results[0].Status == check.OK {
		results[0].Status, results[0].Remedy = check.Warn, "run "+c.login()+", or set EVERGATE_GRANT=client_credentials"
	}
	return results
}

// stored describes a stored access token that lives.
func (c *checkup) stored(st grantadmin.State) []check.Result {
	said := "the stored token does not expire; " + aboutPermanent
	if st.Kind == grantadmin.Expiring {
		said = fmt.Sprintf("the stored token lives for another %s; nothing was renewed", grantadmin.Span(st.Left))
	}
	if r := st.Reauthorize; r != nil {
		return one(check.Warn, "run "+c.login()+", while that token still works", "%s; but the grant is dead since %s (%s)", said, grantadmin.Stamp(r.Since), r.Reason)
	}
	return one(check.OK, "", "%s", said)
}

func (c *checkup) login() string { return c.installation.Remedies().Command("login") }

func (c *checkup) nothingStored() []check.Result {
	if seed, err := c.installation.RefreshSeed(); err == nil && !seed.Empty() {
		return one(check.Warn, "start the sidecar, then run the check again",
			"no grant is stored yet; the sidecar begins with SHOPIFY_REFRESH_TOKEN, which works once and was left alone")
	}
	return one(check.Fail, "run "+c.login()+", or "+c.installation.Remedies().Command("token import"), "no grant is stored for %s in %s", c.cfg.Shop, c.installation.RecordPlace())
}

// obtained makes one attempt to obtain a token and reports it.
func (c *checkup) obtained(ctx context.Context, said string) []check.Result {
	t, err := c.installation.TokenOnce(ctx)
	return c.report(t, err, said)
}

func (c *checkup) report(t token.Token, err error, said string) []check.Result {
	switch {
	case errors.Is(err, token.ErrTransient):
		return one(check.Fail, "this passes by itself: run the check again in a moment", "%s", err)
	case err != nil:
		return check.FromError(check.Fail, err)
	}
	c.token = t.Access
	if t.Expires() {
		said += fmt.Sprintf("; it lives for another %s", grantadmin.Span(time.Until(t.Issued.Add(t.Life))))
	}
	return one(check.OK, "", "%s", said)
}

func one(status check.Status, remedy, format string, args ...any) []check.Result {
	return []check.Result{{Status: status, Message: fmt.Sprintf(format, args...), Remedy: remedy}}
}
