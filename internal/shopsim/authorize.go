package shopsim

import (
	"bytes"
	"fmt"
	"html"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"sync"
)

// authorization is a valid request to the authorize page.
type authorization struct {
	grantKey
	redirect *url.URL
	state    string
	scopes   []string
	online   bool
}

// authorize answers /admin/oauth/authorize: GET asks the merchant, POST is what
// the merchant decided, with the question still in the URL. Nobody needs to be
// logged in, and nothing protects the form against other sites: there is
// nothing here worth protecting.
func (s *Sim) authorize(q *request) *response {
	if !isRead(q.Method) && q.Method != http.MethodPost {
		return methodNotAllowed("GET, POST")
	}
	z, refused := s.readAuthorization(q)
	if refused != nil {
		return refused
	}
	if isRead(q.Method) {
		return z.page()
	}
	form, err := url.ParseQuery(string(q.body))
	if err != nil {
		return oauthHTML("invalid_request", "The form could not be read.")
	}
	switch form.Get("decision") {
	case "install":
		return s.consent(q, z)
	case "cancel":
		return s.cancel(q, z)
	}
	return oauthHTML("invalid_request", "The decision must be install or cancel.")
}

// scopePattern is the form of a scope. Which scopes exist is not simulated.
var scopePattern = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`^((customer|unauthenticated)_)?(read|write)_[a-z][a-z_]*$`)
})

// readAuthorization checks what is asked, in the order in which the merchant
// would be told what is wrong.
func (s *Sim) readAuthorization(q *request) (authorization, *response) {
	p, err := url.ParseQuery(q.URL.RawQuery)
	if err != nil {
		return authorization{}, oauthHTML("invalid_request", "The query could not be read.")
	}
	a := s.state.apps[p.Get("client_id")]
	if a == nil {
		return authorization{}, unknownApp(p.Get("client_id"))
	}
	redirect, problem := a.checkRedirect(p.Get("redirect_uri"), s.state.settings.ExactRedirects)
	if problem != "" {
		return authorization{}, oauthHTML("invalid_request", problem)
	}
	scopes := splitScopes(p.Get("scope"))
	for _, scope := range scopes {
		if !scopePattern().MatchString(scope) {
			return authorization{}, oauthHTML("invalid_scope", fmt.Sprintf("The scope %q does not exist.", scope))
		}
	}
	if len(scopes) == 0 {
		scopes = a.scopes
	}
	return authorization{
		grantKey: grantKey{a, q.shop},
		redirect: redirect,
		state:    p.Get("state"),
		scopes:   scopes,
		online:   slices.Contains(p["grant_options[]"], "per-user"),
	}, nil
}

// checkRedirect finds the redirect URL good, or tells what is wrong with it.
func (a *app) checkRedirect(raw string, exact bool) (u *url.URL, problem string) {
	const notListed = "The redirect_uri is not whitelisted"
	u, err := url.Parse(raw)
	if err != nil || u.Host == "" || u.Fragment != "" {
		return nil, notListed
	}
	if !exact && isLoopback(u) {
		return u, ""
	}
	if !slices.Contains(a.redirects, raw) {
		return nil, notListed
	}
	if own, err := url.Parse(a.url); a.url != "" && (err != nil || own.Host != u.Host) {
		return nil, "The redirect_uri and application url must have matching hosts"
	}
	return u, ""
}

// isLoopback accepts what a program on the merchant's own machine listens at.
func isLoopback(u *url.URL) bool {
	return u.Scheme == "http" && u.User == nil && (u.Hostname() == "localhost" || u.Hostname() == "127.0.0.1")
}

// page asks the merchant. The form goes to the URL of the page itself.
func (z authorization) page() *response {
	var b bytes.Buffer
	write := func(parts ...string) { // every second one is a value
		for i, part := range parts {
			if i%2 == 1 {
				part = html.EscapeString(part)
			}
			b.WriteString(part)
		}
	}
	write(consentHead+"<title>Install app - ", z.shop.name, "</title>\n"+consentStyle+"<h1>Install this app on ", z.shop.name, "?</h1>\n")
	write("<p>This is a simulated Shopify. The app <code>", z.app.id, "</code> asks ", z.shop.domain, " for access")
	if z.online {
		write(" on behalf of you alone")
	}
	write(":</p>\n<ul>\n")
	for _, scope := range z.scopes {
		write("<li>", scope, "</li>\n")
	}
	write("</ul>\n<p>Afterwards you go on to <code>", z.redirect.Host, "</code>.</p>\n"+consentForm)
	resp := newResponse(http.StatusOK, "text/html; charset=utf-8", b.Bytes())
	resp.header.Set("Cache-Control", "no-store")
	resp.header.Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'")
	return resp
}

const (
	consentHead = `<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
`
	consentStyle = `<style>
body { font: 1rem/1.5 system-ui, sans-serif; max-width: 36rem; margin: 2rem auto; padding: 0 1rem; color: #1a1a1a; background: #fff }
button { font: inherit; padding: .5rem 1.5rem; margin-right: .5rem; border: 2px solid #1a1a1a; border-radius: .5rem; background: #fff; color: #1a1a1a }
button.primary { background: #1a1a1a; color: #fff }
button:focus-visible { outline: 3px solid #0b57d0; outline-offset: 2px }
</style>
</head>
<body>
<main>
`
	consentForm = `<form method="post">
<button class="primary" type="submit" name="decision" value="install">Install</button>
<button type="submit" name="decision" value="cancel">Cancel</button>
</form>
</main>
</body>
</html>
`
)
