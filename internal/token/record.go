package token

import (
	"context"
	"errors"
	"time"
)

// Store is where one shop's grant rests. It is safe for concurrent use, and for several
// processes at once where it is shared.
type Store interface {
	// Load returns the stored record and its handle; ErrNotFound when there is none.
	Load(ctx context.Context) (Record, Handle, error)
	// Swap replaces the record that old names; an empty old stands for nothing being stored.
	// ErrConflict says that something else is. When it returns nil, next is durable.
	Swap(ctx context.Context, old Handle, next Record) (Handle, error)
	// Lease keeps every other holder from refreshing the same grant until release is
	// called, which can be done twice. It waits no longer than ctx.
	Lease(ctx context.Context) (release func(), err error)
	// Changed reports, cheaply, whether something else than old may be stored. It may be
	// wrong when it says yes, never when it says no.
	Changed(ctx context.Context, old Handle) (bool, error)
}

// Expiring is a Store whose Lease can end before it is released: when the process is paused, or the place is cut off, for too
// long. Others then may have it.
type Expiring interface {
	// LeaseLeft is for how long the right that this process holds lasts at least; zero or less: it has none.
	LeaseLeft() time.Duration
}

// Yielding is a Store in a place that belongs to somebody else, who may take a record away for good: an app deletes its session
// when a shop uninstalls it. What is gone from there is not written back.
type Yielding interface {
	// Yields reports whether this one is.
	Yields() bool
}

// What a store can say beside "done".
var (
	// ErrNotFound says that nothing is stored for the shop.
	ErrNotFound = errors.New("nothing is stored for this shop")
	// ErrConflict says that something else than the handle's record is stored now: load
	// it before deciding anew.
	ErrConflict = errors.New("another process has stored something else meanwhile")
	// ErrKey says that a record was written with another key; it may be that of all of them.
	ErrKey = errors.New("it is encrypted, and neither EVERGATE_STORE_KEY nor EVERGATE_STORE_KEY_PREVIOUS is the key it was written with")
)

// Handle names one state of a stored record: opaque, and different after every change.
// The empty Handle stands for nothing being stored.
type Handle string

// Pair is what the token endpoint hands out for an offline grant.
type Pair struct {
	// Token is the access token. For a permanent one it does not expire.
	Token Token
	// Refresh obtains the next pair, once: Shopify replaces it at each use. Empty for a
	// permanent token.
	Refresh Secret
	// RefreshExpires is when Refresh ends if it is not used; zero when Shopify did not say.
	RefreshExpires time.Time
}

// Record is everything that is kept of one shop's grant. A Record is a value: change a
// copy and store that. Times in it are on the wall clock.
type Record struct {
	// Shop is the domain, and ClientID the app: a record is of no use to another.
	Shop, ClientID string
	// Grant is the grant's name, as in EVERGATE_GRANT.
	Grant string
	// Epoch names the chain of refresh tokens that began with one authorisation; another one begins another. Empty: not known,
	// because an earlier Evergate wrote the record.
	Epoch string
	// Generation counts the pairs of an epoch, from 1 on. One that falls says that the store was rolled back. Zero: not known.
	Generation uint64
	// Writer says who wrote Current, for people: a host and a process, or an app.
	Writer string
	// Written is when Current was written. Zero: not known, and not long after Current was issued.
	Written time.Time
	// Current is the newest pair.
	Current Pair
	// Previous is the refresh token that Current replaced. Shopify honours it until
	// Current.Refresh is used, so it is kept until then.
	Previous *Previous
	// Attempt is the note that a refresh has begun; it is removed with its outcome. One
	// that is found at a start means that the outcome was lost.
	Attempt *Attempt
	// Original is the permanent token that was migrated. Presented again within seven days
	// it brings the same pair back, so it is kept until the first refresh has succeeded.
	Original Secret
	// Reauthorize says since when and why a person must authorise anew; nil while none must.
	Reauthorize *Reauthorize
}

// IsBlank reports a record without a grant in it.
func (r *Record) IsBlank() bool { return r.Current.Token.Access.Empty() && r.Current.Refresh.Empty() }

// IsNothing reports a record that is kept in place of none, because a store cannot forget.
func (r *Record) IsNothing() bool { return r.IsBlank() && r.Original.Empty() && r.Reauthorize == nil }

// Previous is a refresh token that has been replaced.
type Previous struct {
	Refresh Secret
	Expires time.Time
	// FirstUsed is when it was first used for a refresh: Shopify honours it for 30 days from then.
	FirstUsed time.Time
	// Tried says that it has been tried, to recover, after its replacement was refused.
	Tried bool
}

// Attempt is a refresh under way.
type Attempt struct {
	// Fingerprint tells which refresh token was sent, without being it.
	Fingerprint string
	Started     time.Time
}

// Reauthorize is why a grant is dead.
type Reauthorize struct {
	Since  time.Time
	Reason string
}
