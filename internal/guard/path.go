package guard

import (
	"net/http"

	"evergate/internal/ascii"
	"evergate/internal/denial"
	"evergate/internal/shopify"
)

// CheckPath judges a method and the raw path: the bytes of the request target before
// the question mark, as the client sent them and as they will be forwarded. It returns
// what a path that passes asks for.
//
// Everything that is part of the Admin API passes, and so does a GET of the scopes.
func CheckPath(method, rawPath string) (shopify.Target, error) {
	if ascii.EqualFold(method, http.MethodTrace) || ascii.EqualFold(method, http.MethodConnect) {
		return shopify.Target{}, denial.New(http.StatusForbidden, denial.CodeDeniedMethod,
			"The Admin API has no use for the method "+denial.Quote(method)+". Use GET, POST, PUT or DELETE.")
	}
	target, err := shopify.ParseTarget(rawPath)
	if err != nil {
		return shopify.Target{}, ambiguous(err.Error(), rawPath)
	}
	switch target.Kind {
	case shopify.AdminAPI:
		return target, nil
	case shopify.Scopes:
		if method == http.MethodGet {
			return target, nil
		}
		return shopify.Target{}, denial.New(http.StatusForbidden, denial.CodeDeniedMethod,
			"The list of granted scopes can only be read: use GET for "+shopify.ScopesPath+".")
	case shopify.Credentials:
		return shopify.Target{}, denial.New(http.StatusForbidden, denial.CodeDeniedPath,
			"The path "+denial.Quote(rawPath)+" mints, destroys or shows credentials, which Evergate does itself and lets no client do. "+
				"Use evergate login or evergate token instead.")
	}
	return shopify.Target{}, denial.New(http.StatusForbidden, denial.CodeDeniedPath,
		"The path "+denial.Quote(rawPath)+" is not part of the Admin API. "+
			"Use one below /admin/api/, for example /admin/api/2026-10/graphql.json.")
}

func ambiguous(why, rawPath string) error {
	return denial.New(http.StatusBadRequest, denial.CodeAmbiguousPath,
		"The path "+denial.Quote(rawPath)+" has "+why+", so it can be read in two ways. "+
			"Send the plain path, for example /admin/api/2026-10/shop.json.")
}
