package shopsim

// Repeat is what happens when a client that holds a token asks for another.
type Repeat string

// What a second client credentials request gets. Shopify does not document it.
const (
	RepeatNew     Repeat = "new"     // a new token; the old one lives to its own expiry
	RepeatSame    Repeat = "same"    // the same token while more than SameWhile is left
	RepeatReplace Repeat = "replace" // a new token; the old one dies at once
)

// ErrorForm is how the token endpoint words a failure.
type ErrorForm string

// The two forms that have been seen in the wild.
const (
	ErrorHTML ErrorForm = "html"
	ErrorJSON ErrorForm = "json"
)

// Rotation says which refresh tokens are honoured beside the current one.
type Rotation string

// The rules of August 2026, those before, and those that some had to live with.
const (
	RotationCurrent   Rotation = "current"   // the previous one, until its replacement is used, for RetryWindow
	RotationWindow60m Rotation = "window60m" // the previous one, for 60 minutes after its first use
	RotationStrict    Rotation = "strict"    // none: each refresh token works once
)

// Retry is what a repeated refresh gets. Shopify does not document it.
type Retry string

// What a refresh token gets when it is honoured again.
const (
	RetryNewPair  Retry = "new_pair"  // another pair; the refresh token handed out before is retired
	RetrySamePair Retry = "same_pair" // the pair handed out before
)

// DeadAnswer is how the token endpoint refuses a refresh token.
type DeadAnswer string

// The ways to say it that clients have met or expect.
const (
	DeadPlain        DeadAnswer = "plain"         // 401 invalid_request, the documented sentence
	DeadFullStop     DeadAnswer = "full_stop"     // the same with a full stop
	DeadLong         DeadAnswer = "long"          // the same inside a longer text
	DeadInvalidGrant DeadAnswer = "invalid_grant" // 400 invalid_grant
)

// SignedForm is what the signature of a redirect is computed over.
type SignedForm string

// The forms differ where a value contains reserved characters.
const (
	SignedDecoded SignedForm = "decoded" // values as they are, but % as %25 and & as %26; = too in names
	SignedEncoded SignedForm = "encoded" // names and values percent-encoded
)

// Grant is a way to get a token.
type Grant string

// The grants that the token endpoint knows.
const (
	GrantClientCredentials Grant = "client_credentials"
	GrantCode              Grant = "authorization_code"
	GrantRefresh           Grant = "refresh_token"
	GrantExchange          Grant = "token_exchange" // of a session token
	GrantMigration         Grant = "migration"      // of a token that never expires to a pair that does
	grantOther             Grant = "other"
)
