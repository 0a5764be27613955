package login

import (
	"cmp"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"net/http"
	"strings"
	"unicode"
	"unicode/utf8"

	"evergate/internal/denial"
	"evergate/internal/grant"
	"evergate/internal/markup"
	"evergate/internal/token"
)

// hint says where a person goes on from a page.
type hint int

const (
	loopbackHint hint = iota // a command waits in a terminal
	hostedHint               // nobody waits; StartPath begins anew
)

// reader is who reads a page: where he goes on, by which name he knows the app; empty: by none; and which shop he has to name where
// he begins again; zero: none.
type reader struct {
	where hint
	app   string
	shop  token.Shop
}

// theApp names it within a sentence, and appFirst at the beginning of one. Evergate is no name that he knows.
func (r reader) theApp() string   { return cmp.Or(r.app, "the app") }
func (r reader) appFirst() string { return cmp.Or(r.app, "The app") }

// view is what a page shows. Nothing in it comes from the request, except for the name of a
// shop that Shopify has signed, or that may log in here.
type view struct {
	Title, Text, Next string
	Missing           []string
	App               string // who asked for what is missing
	Again             string // a link by which to begin again; empty: there is none
	Good              bool
}

const style = `
:root { color-scheme: light dark; --ink: #1c1e21; --paper: #fff; --good: #0b6b3a; --bad: #a3261b; --link: #0b57d0; }
@media (prefers-color-scheme: dark) { :root { --ink: #e8e9eb; --paper: #17191c; --good: #6fd19c; --bad: #ff9d92; --link: #9ec3ff; } }
body { margin: 0; background: var(--paper); color: var(--ink); font: 1.0625rem/1.6 system-ui, sans-serif; }
main { max-width: 34rem; margin: 0 auto; padding: 12vh 1.25rem 2rem; overflow-wrap: anywhere; }
h1 { margin: 0 0 1rem; font-size: 1.6rem; line-height: 1.25; }
h1::before { content: ""; display: block; width: 3rem; height: .3rem; margin-bottom: 1.25rem; border-radius: .2rem; background: var(--bad); }
.good h1::before { background: var(--good); }
p { margin: 0 0 1rem; }
a { color: var(--link); }
a:focus-visible { outline: 3px solid; outline-offset: 3px; border-radius: 2px; }
`

// html is the page.
func (v view) html() *markup.Page {
	var p markup.Page
	p.Put(`<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{}</title>
<style>`, v.Title)
	p.Trusted(style)
	p.Put("</style>\n</head>\n<body>\n<main")
	if v.Good {
		p.Put(` class="good"`)
	}
	p.Put(">\n<h1>{}</h1>\n<p>{}</p>", v.Title, v.Text)
	if len(v.Missing) > 0 {
		p.Put("\n<p>Not granted, although {} asked for it: {}.</p>", v.App, strings.Join(v.Missing, ", "))
	}
	if v.Next != "" {
		p.Put("\n<p>{}</p>", v.Next)
	}
	if v.Again != "" {
		p.Put("\n<p><a href=\"{}\">Start again</a></p>", v.Again)
	}
	p.Put("\n</main>\n</body>\n</html>\n")
	return &p
}

// policy lets a page load nothing, run nothing, send nothing and be framed by nobody; the
// one style it may have is known by its hash.
var policy = func() string {
	sum := sha256.Sum256([]byte(style))
	return "default-src 'none'; style-src 'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) +
		"'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
}()

// secure sets the headers of everything that a browser gets here. The address of a callback
// holds a code, so it goes to nobody and is not kept.
func secure(h http.Header) {
	h.Set("Content-Security-Policy", policy)
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("X-Frame-Options", "DENY")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
}

func writePage(w http.ResponseWriter, status int, v view) {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(status)
	_, _ = v.html().WriteTo(w)
}

// writeErrorPage is writePage for what did not succeed, with the header that programs look at.
func writeErrorPage(w http.ResponseWriter, status int, code string, v view) {
	w.Header().Set(denial.Header, code)
	writePage(w, status, v)
}

// denyPath answers what is no page of a login, a browser with a page.
func denyPath(w http.ResponseWriter, r *http.Request, to reader) {
	if strings.Contains(r.Header.Get("Accept"), "text/html") {
		v := view{Title: "There is no such page", Text: "Only the login of " + to.theApp() + " is here."}
		writeErrorPage(w, http.StatusNotFound, denial.CodeNotFound, to.again(v, ""))
		return
	}
	(&denial.Error{Status: http.StatusNotFound, Code: denial.CodeNotFound, Message: "There is no such page: only a login is here."}).Answer(w)
}

// notHerePage is for a shop that nobody may log in.
func notHerePage(to reader) view {
	return view{Title: "This shop cannot be connected here",
		Text: "Whoever runs " + to.theApp() + " has not let this shop be connected. Nothing was changed.", Next: "If it should be, ask them for it."}
}

// whichShopPage is for an address that does not say which shop is meant.
func whichShopPage(to reader) view {
	return view{Title: "This address names no shop",
		Text: "More than one shop can be connected to " + to.theApp() + " here, so the address has to say which: it ends in " + StartPath + "?shop= and the shop's name before .myshopify.com."}
}

func denyMethod(w http.ResponseWriter) {
	w.Header().Set("Allow", http.MethodGet)
	(&denial.Error{Status: http.StatusMethodNotAllowed, Code: denial.CodeMethodNotAllowed, Message: "A browser opens this page with GET."}).Answer(w)
}

func writeOutcome(w http.ResponseWriter, g Granted, err error, to reader) {
	switch {
	case err == nil:
		writePage(w, http.StatusOK, successPage(g, to))
	case errors.Is(err, grant.ErrDeclined):
		writePage(w, http.StatusOK, declinedPage(to))
	case !IsOver(err):
		writeErrorPage(w, http.StatusBadRequest, denial.CodeLoginRefused, refusalPage(err, to))
	default:
		writeErrorPage(w, http.StatusBadGateway, denial.CodeLoginFailed, failurePage(err, to))
	}
}

func successPage(g Granted, to reader) view {
	v := view{
		Title: to.appFirst() + " is connected", Good: true, Missing: g.MissingScopes, App: to.theApp(),
		Text: to.appFirst() + " may now work with " + g.Shop.Domain() + ".",
		Next: "You can close this window.",
	}
	if !g.Expires.IsZero() {
		v.Text += " It renews its access by itself."
	}
	if to.where == loopbackHint {
		v.Next = "You can close this window and go back to the terminal."
	}
	return v
}

func declinedPage(to reader) view {
	v := view{Title: to.appFirst() + " was not connected", Text: "You did not agree, or Shopify did not let you. Nothing was changed."}
	return to.again(v, "If that was a mistake, run the login in the terminal again.")
}

// refusalPage gives the reason in full: it is one of a few fixed sentences.
func refusalPage(err error, to reader) view {
	v := view{Title: "This page cannot finish the login", Text: sentence(err) + " Nothing was changed."}
	return to.again(v, "The login in the terminal is still waiting, and its link still works.")
}

// failurePage keeps the reason for the operator, unless it is the merchant's to act on: it
// may name files of this machine.
func failurePage(err error, to reader) view {
	v := view{
		Title: "The login did not succeed",
		Text:  "Shopify gave " + to.theApp() + " no access, or it could not be kept. Whoever runs " + to.theApp() + " finds the reason in its log.",
	}
	if to.where == loopbackHint {
		v.Text = "Shopify gave " + to.theApp() + " no access, or it could not be stored. The terminal says why."
	}
	if errors.Is(err, grant.ErrCode) {
		v.Text = "Shopify does not accept the code that it sent: it is too old, or it was used already."
	}
	return to.again(v, "When that is mended, run the login in the terminal again.")
}

func (r reader) again(v view, terminal string) view {
	if r.where == hostedHint {
		v.Again = StartPath
		if !r.shop.IsZero() {
			v.Again += "?shop=" + r.shop.Handle()
		}
		return v
	}
	v.Next = terminal
	return v
}

// sentence begins with a capital and ends with a full stop.
func sentence(err error) string {
	text := err.Error()
	first, size := utf8.DecodeRuneInString(text)
	return string(unicode.ToUpper(first)) + strings.TrimSuffix(text[size:], ".") + "."
}
