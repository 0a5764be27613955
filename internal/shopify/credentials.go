package shopify

import (
	"slices"
	"strings"

	"evergate/internal/ascii"
)

// What mints, destroys or shows a credential of the shop's, in one place for whoever judges paths
// and for whoever judges documents. A credential is what lets its bearer call an API of Shopify's
// or decides what a token may do. Not here, on purpose: the URLs that Shopify signs for one
// upload, one export or one customer (stagedUploadsCreate, bulk operations, account activation),
// which give nobody more than the call that asked for them could do itself.

// credentialSegments are the names below which REST has to do with credentials, beside every name that ends in one of
// tokenSegments. All are looked for directly below /admin, /admin/api and a version, because Shopify serves resources
// with and without one. Deeper they are refused to nobody: a resource below another is named by what it belongs to, and
// no credential belongs to a product.
var credentialSegments = [...]string{"api_permissions", "oauth"}

// tokenSegments end the name of each resource that is a token: access_tokens, storefront_access_tokens.
var tokenSegments = [...]string{"access_token", "access_tokens"}

// credentialMutations are the root fields of GraphQL that mint or destroy one, beside those that name a token.
var credentialMutations = [...]string{"appRevokeAccessScopes", "appUninstall"}

// ChangesCredentials reports whether a mutation mints or destroys credentials.
func ChangesCredentials(mutation string) bool {
	return slices.Contains(credentialMutations[:], mutation) || namesToken(mutation)
}

// ShowsCredentials reports whether a field of GraphQL, anywhere in a document, shows credentials or leads to nothing
// else, on whatever type it stands: node(id:) reaches every type from the root.
func ShowsCredentials(field string) bool { return namesToken(field) }

// namesToken reports whether a name is of an access token or a secret. It goes by the word, because Shopify has had more kinds
// of them than its reference lists: delegateAccessTokenCreate, storefrontAccessTokens, shopUserAccessTokenCreate.
func namesToken(name string) bool {
	for _, word := range [...]string{"ccessToken", "ecretKey", "lientSecret", "haredSecret"} { // the first letter is small or not
		if strings.Contains(name, word) {
			return true
		}
	}
	return false
}

// RunsDocument reports whether a mutation runs a GraphQL document that it is given as an argument: a bulk
// operation. What is asked for in there is nowhere else in the request.
func RunsDocument(mutation string) bool { return strings.HasPrefix(mutation, "bulkOperationRun") }

// HoldsDocument reports whether an argument of such a mutation is the document.
func HoldsDocument(argument string) bool { return argument == "query" || argument == "mutation" }

func namesCredentials[P string | []byte](segment P) bool {
	for _, name := range credentialSegments {
		if named(segment, name) {
			return true
		}
	}
	word := 0
	for word < len(segment) && ascii.IsWord(segment[word]) {
		word++
	}
	for _, end := range tokenSegments {
		if word >= len(end) && ascii.EqualFold(segment[word-len(end):word], end) {
			return true
		}
	}
	return false
}
