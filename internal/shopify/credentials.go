package shopify

import (
	"slices"
	"strings"
)

// What mints, destroys or shows a credential of the shop's, in one place for whoever judges paths
// and for whoever judges documents. A credential is what lets its bearer call an API of Shopify's
// or decides what a token may do. Not here, on purpose: the URLs that Shopify signs for one
// upload, one export or one customer (stagedUploadsCreate, bulk operations, account activation),
// which give nobody more than the call that asked for them could do itself.

// credentialSegments are the names below which REST has to do with credentials. Shopify documents the first three
// directly below /admin, and the last below a version; all are looked for directly below /admin, /admin/api and a
// version, because it serves resources with and without one. Deeper they are refused to nobody: a resource below
// another is named by what it belongs to, and no credential belongs to a product.
var credentialSegments = [...]string{"access_tokens", "api_permissions", "oauth", "storefront_access_tokens"}

// credentialMutations are the root fields of GraphQL that mint or destroy one.
var credentialMutations = [...]string{
	"appRevokeAccessScopes", "appUninstall", "delegateAccessTokenCreate", "delegateAccessTokenDestroy",
	"storefrontAccessTokenCreate", "storefrontAccessTokenDelete",
}

// credentialFields are the fields of GraphQL that show one, or lead to nothing else, on whatever
// type they stand: node(id:) reaches every type from the root.
var credentialFields = [...]string{"accessToken", "delegateAccessToken", "storefrontAccessToken", "storefrontAccessTokens"}

// ChangesCredentials reports whether a mutation mints or destroys credentials.
func ChangesCredentials(mutation string) bool {
	return slices.Contains(credentialMutations[:], mutation)
}

// ShowsCredentials reports whether a field of GraphQL, anywhere in a document, shows credentials.
func ShowsCredentials(field string) bool {
	return slices.Contains(credentialFields[:], field)
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
	return false
}
