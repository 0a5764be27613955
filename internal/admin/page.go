package admin

import (
	"bytes"
	"crypto/sha256"
	_ "embed" // the page's parts
	"encoding/base64"
	"html/template"
	"net/http"
	"strings"
)

// The page works without its script: then it reloads itself. Style and script are part of
// it, so that it loads nothing, and the policy names them by their hash, so that nothing
// else runs, whatever a shop is called or an error says.
var (
	//go:embed page.html
	pageHTML string
	//go:embed page.css
	pageCSS string
	//go:embed page.js
	pageJS string

	page = template.Must(template.New("page").Funcs(template.FuncMap{
		"style":  func() template.CSS { return template.CSS(pageCSS) }, //nolint:gosec // our own, embedded
		"script": func() template.JS { return template.JS(pageJS) },    //nolint:gosec // our own, embedded
	}).Parse(pageHTML))

	policy = strings.Join([]string{
		"default-src 'none'", "style-src '" + hashOf(pageCSS) + "'", "script-src '" + hashOf(pageJS) + "'",
		"connect-src 'self'", "frame-ancestors 'none'", "base-uri 'none'", "form-action 'none'",
	}, "; ")
)

func hashOf(text string) string {
	sum := sha256.Sum256([]byte(text))
	return "sha256-" + base64.StdEncoding.EncodeToString(sum[:])
}

func (h *handler) page(w http.ResponseWriter, _ *http.Request) {
	var b bytes.Buffer
	if err := page.Execute(&b, h.view()); err != nil {
		http.Error(w, "the page cannot be made: "+err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Security-Policy", policy)
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Referrer-Policy", "no-referrer")
	_, _ = w.Write(b.Bytes())
}
