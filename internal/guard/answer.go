package guard

import (
	"encoding/json"
	"net/http"
	"strconv"
)

// ErrorHeader tells a client, and a person reading its log, that an answer is Evergate's
// own and not Shopify's. Its value is a code from a closed list.
const ErrorHeader = "X-Evergate-Error"

// Answer sends the refusal. Its JSON has the shape of Shopify's own errors, because that
// is the one that clients parse.
func (r Refusal) Answer(w http.ResponseWriter) {
	body, err := json.Marshal(map[string]string{"errors": r.Message})
	if err != nil {
		body = []byte(`{"errors":"refused"}`) // a string always encodes; this cannot happen
	}
	h := w.Header()
	h.Set("Content-Type", "application/json; charset=utf-8")
	h.Set("Content-Length", strconv.Itoa(len(body)))
	h.Set(ErrorHeader, r.Code)
	w.WriteHeader(r.Status)
	_, _ = w.Write(body)
}
