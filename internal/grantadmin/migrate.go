package grantadmin

import (
	"context"
	"errors"
	"fmt"
	"time"

	"evergate/internal/config"
	"evergate/internal/grant"
	"evergate/internal/remedy"
	"evergate/internal/token"
)

// Migration is the exchange of one permanent token for one that expires and can be renewed.
//
// Shopify ends the permanent token with the first success and, for seven days, brings the
// same pair back for it, until that pair is refreshed. So the permanent token is in the
// record as its original before the POST: whatever happens after, the command can be run
// again. A record whose original is still its current token is a migration of which the
// outcome is not known.
type Migration struct {
	*Admin
	permanent token.Secret
	before    token.Record // what was stored when the plan was made
	// Resumed says that it was begun before, and its outcome is not known.
	Resumed bool
	// Done says that there is nothing to migrate.
	Done bool
}

// PlanMigration finds the permanent token: the stored one, else that of the settings.
func (a *Admin) PlanMigration(static token.Secret) (*Migration, error) {
	before, err := a.loadOwn()
	if err != nil {
		return nil, err
	}
	m := &Migration{Admin: a, before: before}
	switch {
	case IsPermanent(m.before.Current):
		m.permanent = m.before.Current.Token.Access
		m.Resumed = m.before.Original.Equal(m.permanent)
	case !IsWorthKeeping(m.before):
		if m.permanent = static; static.Empty() {
			m.permanent = m.before.Original // of a migration that was not used yet, whose grant is dead
		}
		if m.permanent.Empty() {
			return nil, config.Wrong(remedy.New("set SHOPIFY_ACCESS_TOKEN to it, or import it with "+a.Remedies.Command("token import"), "there is no permanent token of %s", m.Shop))
		}
	case static.Empty(), m.before.Original.Equal(static):
		m.Done = true
	default:
		return nil, remedy.New("remove SHOPIFY_ACCESS_TOKEN if the stored grant is the right one (see "+a.Remedies.Command("token show")+"), else give another EVERGATE_STORE", "a grant of %s that expires is stored already, and a migration of SHOPIFY_ACCESS_TOKEN would end it", m.Shop)
	}
	return m, nil
}

// errStarted is for a record that changed between the question and the answer.
var errStarted = errors.New("the stored grant was changed just now")

// Run does it under the lease, so that no refresh of a sidecar comes between.
func (m *Migration) Run() error {
	ctx, cancel := context.WithTimeout(context.Background(), replaceWait)
	defer cancel()
	release, err := m.Store.Lease(ctx)
	if err != nil {
		return fmt.Errorf("another process is using the store: %w; nothing was changed", err)
	}
	defer release()
	record, handle, err := m.Store.Load(ctx)
	if err != nil && !errors.Is(err, token.ErrNotFound) {
		return err
	}
	if !record.Current.Token.Access.Equal(m.before.Current.Token.Access) || !record.Current.Refresh.Equal(m.before.Current.Refresh) {
		return m.lookAgain(errStarted)
	}
	next := token.Record{Shop: m.Shop.Domain(), ClientID: m.ClientID, Grant: config.GrantOffline, Original: m.permanent}
	next.Current.Token = token.Token{Access: m.permanent, Issued: time.Now().Round(0)}
	if IsPermanent(m.before.Current) {
		next.Current = m.before.Current
	}
	next = token.Begin(next)
	if handle, err = m.Store.Swap(ctx, handle, next); err != nil {
		return fmt.Errorf("nothing was changed at Shopify, because the store cannot be written: %w", err)
	}
	pair, err := grant.Offline{Endpoint: m.Endpoint}.Migrate(context.Background(), m.permanent)
	if err != nil {
		return m.refused(handle, next, err)
	}
	next.Current = pair
	next.Generation, next.Written = next.Generation+1, time.Now().Round(0)
	return m.keep(handle, next)
}

// refused takes the note back if Shopify said no: then the permanent token is what it was.
// After a lost answer, or where an earlier one was lost, the note stays. What is put back follows
// the note in its epoch: a generation that falls would look like a store that was rolled back.
func (m *Migration) refused(handle token.Handle, note token.Record, cause error) error {
	if errors.Is(cause, token.ErrTransient) {
		return fmt.Errorf("whether Shopify has migrated the token is not known: %w; run the command again, within seven days: it brings the same result", cause)
	}
	if m.Resumed {
		return fmt.Errorf("not migrated: %w", cause)
	}
	back := m.before
	if back.IsBlank() {
		// A store cannot forget. An empty record of this grant is taken for nothing.
		back = token.Record{Shop: m.Shop.Domain(), ClientID: m.ClientID, Grant: config.GrantClientCredentials}
	}
	back.Epoch, back.Generation, back.Writer = note.Epoch, note.Generation+1, note.Writer
	ctx, cancel := context.WithTimeout(context.Background(), storeWait)
	defer cancel()
	if _, err := m.Store.Swap(ctx, handle, back); err != nil {
		return fmt.Errorf("not migrated: %w (and the store still has a note of the attempt: %w)", cause, err)
	}
	return fmt.Errorf("not migrated, and nothing was changed: %w", cause)
}

// keep makes the new grant durable. The permanent token is dead by now, but is stored as the
// original, so the command can be run again.
func (m *Migration) keep(handle token.Handle, next token.Record) error {
	ctx, cancel := context.WithTimeout(context.Background(), storeWait)
	defer cancel()
	if _, err := m.Store.Swap(ctx, handle, next); err != nil {
		return fmt.Errorf("the token is migrated at Shopify, but the new grant could not be stored: %w; put the store right and run the command again within seven days: it brings the same grant back", err)
	}
	return nil
}
