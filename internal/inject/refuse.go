package inject

import (
	"net/http"

	"evergate/internal/denial"
	"evergate/internal/shopify"
)

// Ambiguous answers a request that nobody reads, because it can be read in two ways; doubt says what it has. It is counted as a denial, and
// belongs to no caller.
func (h *Handler) Ambiguous(w http.ResponseWriter, doubt string) {
	h.opt.Metrics.Denied(denial.CodeAmbiguousRequest)
	if h.denials.allow("", doubt, shopify.RouteOther) {
		h.opt.Log.Info("denied", "code", denial.CodeAmbiguousRequest, "has", doubt)
	}
	denial.Of(denial.New(http.StatusBadRequest, denial.CodeAmbiguousRequest,
		"This request has "+doubt+", so it can be read in two ways. Nothing of it was sent to Shopify: send its head as RFC 9112 has it.")).Answer(w)
}

// Stopping answers a request that came too late to be served. Nothing of it was sent.
func (h *Handler) Stopping(w http.ResponseWriter) {
	denial.Of(denial.New(http.StatusServiceUnavailable, denial.CodeStopping,
		"Evergate is shutting down. Nothing of this request was sent to Shopify: send it again.")).Answer(w)
}
