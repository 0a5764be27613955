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
	body, err := json.Marshal(r.body())
	if err != nil {
		body = []byte(`{"errors":"refused"}`) // strings always encode; this cannot happen
	}
	h := w.Header()
	h.Set("Content-Type", "application/json; charset=utf-8")
	h.Set("Content-Length", strconv.Itoa(len(body)))
	h.Set(ErrorHeader, r.Code)
	w.WriteHeader(r.Status)
	_, _ = w.Write(body)
}

type graphQLError struct {
	Message    string            `json:"message"`
	Extensions map[string]string `json:"extensions"`
}

// body is what Shopify's GraphQL answers, with status 200, to an operation that the token
// does not allow; anything else has the shape that both of its APIs use.
func (r Refusal) body() any {
	if r.Status == http.StatusOK {
		return map[string]any{"errors": []graphQLError{{r.Message, map[string]string{"code": "ACCESS_DENIED"}}}}
	}
	return map[string]string{"errors": r.Message}
}
