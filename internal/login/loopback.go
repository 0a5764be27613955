package login

import (
	"net/http"
)

// Outcome is how a callback ended.
type Outcome struct {
	Granted Granted
	Err     error
}

// Loopback answers path on this machine for the one login that began with state, and tells
// heard about each callback once its page is written.
func (f *Flow) Loopback(path, state string, heard func(Outcome)) http.Handler {
	to := reader{where: loopbackHint, app: f.AppName}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		secure(w.Header())
		// The listener is about to go away: a browser must not keep a connection to it.
		w.Header().Set("Connection", "close")
		switch {
		case r.URL.EscapedPath() != path:
			denyPath(w, r, to)
		case r.Method != http.MethodGet: // a HEAD must not use up a code
			denyMethod(w)
		default:
			g, err := f.Finish(r.Context(), state, r.URL.RawQuery)
			writeOutcome(w, g, err, to)
			heard(Outcome{g, err})
		}
	})
}
