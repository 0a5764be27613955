package inject

import (
	"maps"
	"net/http"
	"slices"
	"strings"
)

// announceTrailer says which fields will follow the body, as Shopify's answer did, without
// those that do not go on. It reports whether any can follow.
func announceTrailer(w http.ResponseWriter, r *http.Request, resp *http.Response) bool {
	if !r.ProtoAtLeast(1, 1) || resp.ContentLength >= 0 {
		return false // there will be no chunks, so there is no place for a trailer
	}
	if len(resp.Trailer) == 0 {
		return true
	}
	if names := slices.DeleteFunc(slices.Sorted(maps.Keys(resp.Trailer)), droppedDownstream); len(names) > 0 {
		w.Header().Set("Trailer", strings.Join(names, ", "))
	}
	return true
}

// sendTrailer passes on the fields that followed the body, announced or not.
func sendTrailer(w http.ResponseWriter, resp *http.Response, l links) {
	if len(resp.Trailer) == 0 {
		return
	}
	if f, ok := w.(http.Flusher); ok {
		f.Flush() // after a short body net/http would send a length instead of chunks
	}
	out := w.Header()
	for name, values := range resp.Trailer {
		delete(out, name) // that was the header's, which is sent, and would be repeated here
		if len(values) > 0 && !droppedDownstream(name) && name != "Content-Length" {
			out[http.TrailerPrefix+name] = l.rewrite(name, values)
		}
	}
}
