package guard

import (
	"fmt"
	"testing"

	"evergate/internal/access"
	"evergate/internal/denial"
	"evergate/internal/denial/denialtest"
	"evergate/internal/reload/reloadtest"
)

// Whatever is judged shows no credential and mints none, wherever in a document it stands.
func TestNoPolicyButFullShowsOrMintsCredentials(t *testing.T) {
	t.Parallel()
	const file = `{"default": "rules", "policies": {
		"rules": {"base": "none", "queries": ["*"], "mutations": ["*"]},
		"minter": {"base": "read-only", "mutations": ["storefrontAccessTokenCreate", "productCreate"]}}}`
	readOnly := admissionWith(t, access.Options{Policy: "read-only"})
	rules := admissionWith(t, access.Options{PolicyFile: reloadtest.WriteFile(t, file)})
	full := admissionWith(t, access.Options{Policy: "full"})
	shows := []string{
		"{ shop { storefrontAccessTokens(first: 1) { edges { node { title } } } } }",
		"{ s: shop { t: storefrontAccessTokens(first: 1) { nodes { a: accessToken } } } }",
		"query Q { node(id: \"gid://shopify/StorefrontAccessToken/1\") { ... on StorefrontAccessToken { accessToken } } }",
		"query Q { nodes(ids: []) { ...F } } fragment F on StorefrontAccessToken { ...G } fragment G on StorefrontAccessToken { x: accessToken }",
		"query Q { shop { ... { ... @include(if: $x) { storefrontAccessTokens(first: 1) { nodes { id } } } } } }",
		"query Q { ...A ...B } fragment A on QueryRoot { shop { name } ...B } fragment B on QueryRoot { shop { ...C } ...A } fragment C on Shop { storefrontAccessTokens(first: 1) { nodes { id } } }",
		"query Harmless { shop { name } } query Q { shop { storefrontAccessTokens(first: 1) { nodes { id } } } }",
	}
	for _, document := range shows {
		body := fmt.Sprintf(`{"query": %q, "operationName": "Q"}`, document)
		if document[0] == '{' {
			body = fmt.Sprintf(`{"query": %q}`, document)
		}
		for name, want := range map[*Admission]string{readOnly: denial.CodeDeniedOperation, rules: denial.CodeDeniedOperation, full: ""} {
			_, err := judge(t, name, call(t, "POST", graphQL, typeJSON), body)
			denialtest.Want(t, document, err, want)
		}
	}
	for _, mutation := range []string{
		"storefrontAccessTokenCreate", "storefrontAccessTokenDelete", "delegateAccessTokenCreate", "delegateAccessTokenDestroy", "appUninstall", "appRevokeAccessScopes", "shopUserAccessTokenCreate",
	} {
		for _, document := range []string{"mutation { %s { userErrors { field } } }", "mutation { x: %s { userErrors { field } } }", "mutation { ...F } fragment F on Mutation { productCreate { x } %s { userErrors { field } } }"} {
			body := fmt.Sprintf(`{"query": %q}`, fmt.Sprintf(document, mutation))
			for name, want := range map[*Admission]string{readOnly: denial.CodeReadOnly, rules: denial.CodeDeniedOperation, full: ""} {
				_, err := judge(t, name, call(t, "POST", graphQL, typeJSON), body)
				denialtest.Want(t, body, err, want)
			}
		}
	}

	// Whoever is to mint is listed by name; then what it mints is shown, and nothing beside it.
	minter := admissionWith(t, access.Options{PolicyFile: reloadtest.WriteFile(t, `{"default": "minter"`+file[len(`{"default": "rules"`):])})
	for document, want := range map[string]string{
		"mutation { storefrontAccessTokenCreate(input: {title: $t}) { storefrontAccessToken { accessToken } } }":                      "",
		"mutation { productCreate { product { id } } }":                                                                               "",
		"mutation { productCreate { shop { storefrontAccessTokens(first: 9) { nodes { id } } } } }":                                   denial.CodeDeniedOperation,
		"mutation { storefrontAccessTokenCreate { x } productCreate { shop { storefrontAccessTokens(first: 9) { nodes { id } } } } }": denial.CodeDeniedOperation,
		"mutation { storefrontAccessTokenDelete { x } }":                                                                              denial.CodeDeniedOperation,
		"{ shop { storefrontAccessTokens(first: 9) { nodes { id } } } }":                                                              denial.CodeDeniedOperation,
	} {
		_, err := judge(t, minter, call(t, "POST", graphQL, typeJSON), fmt.Sprintf(`{"query": %q}`, document))
		denialtest.Want(t, document, err, want)
	}
}

func TestCredentialEndpointsAreRefusedUnderFull(t *testing.T) {
	t.Parallel()
	admission := admissionWith(t, access.Options{Policy: "full"})
	for _, method := range []string{"GET", "POST", "PUT", "DELETE", "HEAD"} {
		for _, path := range []string{
			"/admin/api/2026-10/storefront_access_tokens.json", "/admin/api/2026-10/storefront_access_tokens/1.json", "/admin/storefront_access_tokens.json",
			"/admin/access_tokens/delegate.json", "/admin/api_permissions/current.json", "/admin/oauth/access_token",
			"/admin/api/2026-10/delegate_access_tokens.json",
		} {
			_, err := judge(t, admission, call(t, method, path, ""), "")
			denialtest.Want(t, method+" "+path, err, denial.CodeDeniedPath)
		}
	}
}
