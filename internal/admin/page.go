package admin

import (
	"html/template"
	"net/http"
	"time"
)

// page is the status for people. It is plain: no script, no style from elsewhere, and it
// reloads itself.
var page = template.Must(template.New("page").Parse(`<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="refresh" content="10">
<title>Evergate: {{.Report.Shop}}</title>
<style>
:root { color-scheme: light dark; font: 16px/1.5 system-ui, sans-serif; }
body { max-width: 44rem; margin: 2rem auto; padding: 0 1rem; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .25rem 1.5rem; }
dt { opacity: .75; } dd { margin: 0; overflow-wrap: anywhere; }
</style>
</head>
<body>
<h1>{{.Report.Shop}}</h1>
<p><strong>{{.Sentence}}</strong></p>
<dl>
<dt>Grant</dt><dd>{{.Report.Grant}}</dd>
<dt>Token</dt><dd>{{.Report.State}}{{if .Report.LifeAssumed}}, life assumed because Shopify named none{{end}}</dd>
{{if .Age}}<dt>Age</dt><dd>{{.Age}}</dd>{{end}}
{{if .Left}}<dt>Life left</dt><dd>{{.Left}}</dd>
<dt>Next renewal</dt><dd>{{.Report.NextRenewal.UTC.Format "2006-01-02 15:04:05"}} UTC</dd>{{end}}
{{with .Report.Scopes}}<dt>Scopes</dt><dd>{{range $i, $s := .}}{{if $i}}, {{end}}{{$s}}{{end}}</dd>{{end}}
{{with .Report.MissingScopes}}<dt>Missing scopes</dt><dd>{{range $i, $s := .}}{{if $i}}, {{end}}{{$s}}{{end}}</dd>{{end}}
{{with .Report.Notice}}<dt>Notice</dt><dd>{{.}}</dd>{{end}}
{{with .Report.Unsaved}}<dt>Not written</dt><dd>{{.}}</dd>{{end}}
{{if not .Report.RefreshExpires.IsZero}}<dt>Refresh token until</dt><dd>{{.Report.RefreshExpires.UTC.Format "2006-01-02 15:04:05"}} UTC</dd>{{end}}
{{with .Report.LastError}}<dt>Last error</dt><dd>{{.}}</dd>
<dt>Next attempt</dt><dd>{{$.Report.NextAttempt.UTC.Format "2006-01-02 15:04:05"}} UTC</dd>{{end}}
<dt>Running since</dt><dd>{{.Report.Started.UTC.Format "2006-01-02 15:04:05"}} UTC</dd>
<dt>Version</dt><dd>{{.Report.Version}}</dd>
</dl>
<p><a href="/status">Status as JSON</a> · <a href="/metrics">Metrics</a></p>
</body>
</html>
`))

// policy lets the page load nothing, run nothing and be framed by nobody.
const policy = "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"

func (h *handler) page(w http.ResponseWriter, _ *http.Request) {
	st := h.Tokens.Status()
	view := struct {
		Report    Report
		Sentence  string
		Age, Left time.Duration
	}{h.report(), sentence(st), st.Age.Truncate(time.Second), st.Left.Truncate(time.Second)}
	w.Header().Set("Content-Security-Policy", policy)
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	_ = page.Execute(w, view)
}
