package shopsim

import (
	"errors"
	"fmt"
	"slices"
	"time"
)

// Settings are the switches that can be turned while the simulator runs. A
// zero field means its default.
type Settings struct {
	// TokenLife is the life of a client credentials token. Default: 86399s.
	TokenLife time.Duration

	// Repeat is the answer to a repeated client credentials request. Default: RepeatNew.
	Repeat Repeat

	// SameWhile is the remaining life above which RepeatSame hands out the same
	// token again. Default: 60s.
	SameWhile time.Duration

	// WrongSecret is the form of the answer to a wrong client secret in the
	// client credentials grant: HTML is 400 invalid_request, JSON is 401
	// invalid_client. Default: ErrorHTML.
	WrongSecret ErrorForm

	// WrongSecretOther is the same for all other grants. Default: ErrorJSON.
	WrongSecretOther ErrorForm

	// NotPermitted is the form of shop_not_permitted, 400 either way. Default: ErrorHTML.
	NotPermitted ErrorForm

	// CodeLife is the life of an authorization code. Default: 60s.
	CodeLife time.Duration

	// OfflineLife is the life of an expiring offline token, and OnlineLife that
	// of an online token. Default: 3600s and 86399s.
	OfflineLife time.Duration
	OnlineLife  time.Duration

	// RefreshLife is the life of a refresh token, counted anew for each one.
	// Default: 90 days.
	RefreshLife time.Duration

	// Rotation says which refresh tokens are honoured. Default: RotationCurrent.
	Rotation Rotation

	// Retry is what a refresh token gets that has been used before and is still
	// honoured. Default: RetryNewPair.
	Retry Retry

	// RetryWindow is how long after its first use RotationCurrent honours a
	// refresh token at most. Default: 30 days.
	RetryWindow time.Duration

	// RevokeReplaced ends the earlier expiring offline tokens of the app on the
	// shop whenever a new pair is handed out. Default: they live to their own expiry.
	RevokeReplaced bool

	// DeadRefresh is the answer to a refresh token that is not honoured. Default: DeadPlain.
	DeadRefresh DeadAnswer

	// MigrationWindow is how long a migration may be repeated. Default: 7 days.
	MigrationWindow time.Duration

	// MigrateOnce refuses every repetition of a migration.
	MigrateOnce bool

	// NonExpiringEnd is when the API stops accepting tokens that never expire,
	// from every app. Default: never.
	NonExpiringEnd time.Time

	// ExactRedirects has the authorize page accept no redirect URL that is not
	// listed. Default: http to localhost and 127.0.0.1 is accepted unlisted, at any port.
	ExactRedirects bool

	// SignedForm is what the signature of a redirect is computed over. Default: SignedDecoded.
	SignedForm SignedForm

	// HostPadding keeps the = at the end of the host parameter of a redirect.
	HostPadding bool

	// CancelSilently leaves a merchant who cancels on Shopify's page. Default:
	// the browser is sent back with error=access_denied.
	CancelSilently bool

	// RESTSize and RESTLeak are the REST bucket and its leak per second. Default: 40 and 2.
	RESTSize int
	RESTLeak float64

	// RESTRetryAfter is the Retry-After of a full REST bucket. Default: the leak
	// rate with one decimal ("2.0"), which is what has been measured.
	RESTRetryAfter string

	// GraphQLSize and GraphQLRestore are the GraphQL bucket and its points per
	// second. Default: 2000 and 100.
	GraphQLSize    float64
	GraphQLRestore float64

	// MaxQueryCost is the most that a single query may cost. Default: 1000.
	MaxQueryCost int

	// BulkTime is how long a bulk operation takes. Default: 2s.
	BulkTime time.Duration

	// SetCookie adds Set-Cookie headers to API answers.
	SetCookie bool

	// Gzip compresses API answers for clients that accept it. Zstd does so for those that
	// accept zstd, and goes before Gzip.
	Gzip, Zstd bool

	// ExactTLS answers 421, and does nothing, where the Host of a request is another than the name for which its TLS
	// connection was made. Default: one connection serves every shop that its certificate is for.
	ExactTLS bool

	// ClockSkew is how far the Date header runs ahead of the local clock.
	ClockSkew time.Duration
}

const day = 24 * time.Hour

func (c Settings) withDefaults() Settings {
	c.TokenLife = orDefault(c.TokenLife, 86399*time.Second)
	c.Repeat = orDefault(c.Repeat, RepeatNew)
	c.SameWhile = orDefault(c.SameWhile, time.Minute)
	c.WrongSecret = orDefault(c.WrongSecret, ErrorHTML)
	c.WrongSecretOther = orDefault(c.WrongSecretOther, ErrorJSON)
	c.NotPermitted = orDefault(c.NotPermitted, ErrorHTML)
	c.CodeLife = orDefault(c.CodeLife, time.Minute)
	c.OfflineLife = orDefault(c.OfflineLife, time.Hour)
	c.OnlineLife = orDefault(c.OnlineLife, 86399*time.Second)
	c.RefreshLife = orDefault(c.RefreshLife, 90*day)
	c.Rotation = orDefault(c.Rotation, RotationCurrent)
	c.Retry = orDefault(c.Retry, RetryNewPair)
	c.RetryWindow = orDefault(c.RetryWindow, 30*day)
	c.DeadRefresh = orDefault(c.DeadRefresh, DeadPlain)
	c.MigrationWindow = orDefault(c.MigrationWindow, 7*day)
	c.SignedForm = orDefault(c.SignedForm, SignedDecoded)
	c.RESTSize = orDefault(c.RESTSize, 40)
	c.RESTLeak = orDefault(c.RESTLeak, 2)
	c.GraphQLSize = orDefault(c.GraphQLSize, 2000)
	c.GraphQLRestore = orDefault(c.GraphQLRestore, 100)
	c.MaxQueryCost = orDefault(c.MaxQueryCost, 1000)
	c.BulkTime = orDefault(c.BulkTime, 2*time.Second)
	return c
}

// Validate reports everything that is wrong with the settings at once.
func (c Settings) Validate() error {
	errs := []error{
		oneOf("repeat", c.Repeat, RepeatNew, RepeatSame, RepeatReplace),
		oneOf("error form", c.WrongSecret, ErrorHTML, ErrorJSON),
		oneOf("error form", c.WrongSecretOther, ErrorHTML, ErrorJSON),
		oneOf("error form", c.NotPermitted, ErrorHTML, ErrorJSON),
		oneOf("rotation", c.Rotation, RotationCurrent, RotationWindow60m, RotationStrict),
		oneOf("retry", c.Retry, RetryNewPair, RetrySamePair),
		oneOf("dead_refresh", c.DeadRefresh, DeadPlain, DeadFullStop, DeadLong, DeadInvalidGrant),
		oneOf("signed_form", c.SignedForm, SignedDecoded, SignedEncoded),
		headerSafe("rest_retry_after", c.RESTRetryAfter),
	}
	if min(c.TokenLife, c.SameWhile, c.BulkTime) < 0 {
		errs = append(errs, errors.New("token_life, same_while and bulk_time must not be negative"))
	}
	if min(c.CodeLife, c.OfflineLife, c.OnlineLife, c.RefreshLife, c.RetryWindow, c.MigrationWindow) < 0 {
		errs = append(errs, errors.New("code_life, offline_life, online_life, refresh_life, retry_window and "+
			"migration_window must not be negative"))
	}
	if c.RESTSize < 0 || c.RESTLeak < 0 || c.GraphQLSize < 0 || c.GraphQLRestore < 0 || c.MaxQueryCost < 0 {
		errs = append(errs, errors.New("bucket sizes, rates and costs must not be negative"))
	}
	return errors.Join(errs...)
}

// oneOf refuses a value that is neither empty nor one of those that exist.
func oneOf[T ~string](name string, v T, known ...T) error {
	if v == "" || slices.Contains(known, v) {
		return nil
	}
	return fmt.Errorf("%s %q: want one of %v, or nothing for the default", name, string(v), known)
}
