package admin

import (
	"net/http"

	"evergate/internal/denial"
)

func deny(w http.ResponseWriter, status int, code, message string) {
	(&denial.Error{Status: status, Code: code, Message: message}).Answer(w)
}

func notFound(w http.ResponseWriter) {
	deny(w, http.StatusNotFound, denial.CodeNotFound, "Evergate has no such page here. Tools call another listener, which EVERGATE_LISTEN names.")
}

// denyUnrouted answers what leads to none of mux's patterns as everything else is answered that is not a success.
func denyUnrouted(mux *http.ServeMux) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, pattern := mux.Handler(r); pattern == "" {
			w = &unroutedWriter{ResponseWriter: w}
		}
		mux.ServeHTTP(w, r)
	})
}

// unroutedWriter writes what a ServeMux answers by itself: a denial instead of a refusal, and redirects as they are.
type unroutedWriter struct {
	http.ResponseWriter
	denied bool
}

func (s *unroutedWriter) WriteHeader(status int) {
	s.denied = status >= http.StatusBadRequest
	switch status {
	case http.StatusMethodNotAllowed:
		deny(s.ResponseWriter, status, denial.CodeMethodNotAllowed, "This path takes other methods: "+s.Header().Get("Allow")+".")
	case http.StatusNotFound:
		notFound(s.ResponseWriter)
	case http.StatusBadRequest: // for the target "*"
		deny(s.ResponseWriter, status, denial.CodeAmbiguousPath, "The request's target is no path.")
	default:
		s.ResponseWriter.WriteHeader(status)
	}
}

func (s *unroutedWriter) Write(p []byte) (int, error) {
	if s.denied {
		return len(p), nil
	}
	return s.ResponseWriter.Write(p)
}

// scraped has a scrape that fails say so in the header, too. Its text is for whoever looks at the scrape by hand.
func scraped(next http.Handler) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) { next.ServeHTTP(scrapeWriter{w}, r) }
}

type scrapeWriter struct{ http.ResponseWriter }

func (s scrapeWriter) WriteHeader(status int) {
	if status >= http.StatusBadRequest {
		s.Header().Set(denial.Header, denial.CodeMetricsFailed)
	}
	s.ResponseWriter.WriteHeader(status)
}
