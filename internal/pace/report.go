package pace

import (
	"bytes"
	"encoding/json"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"time"

	"evergate/internal/shopify"
)

// callLimit reads X-Shopify-Shop-Api-Call-Limit: "32/40" says that 32 of 40 calls are in
// the bucket, this one included. On a 429 it is
// usually absent.
func callLimit(h Header) (used, size float64, ok bool) {
	v := h.Values(shopify.HeaderCallLimit)
	if len(v) != 1 {
		return 0, 0, false
	}
	a, b, found := strings.Cut(v[0], "/")
	u, err1 := strconv.ParseUint(a, 10, 32)
	s, err2 := strconv.ParseUint(b, 10, 32)
	if !found || err1 != nil || err2 != nil || s == 0 {
		return 0, 0, false
	}
	return float64(u), float64(s), true
}

// restSeconds is how long a full REST bucket takes to become empty, on every plan: 40 calls
// and 2 a second, 80 and 4, 400 and 20. Headers name the size only.
const restSeconds = 20

// refusedRate finds the rate in the body of a 429, "Exceeded 2 calls per second for api
// client.", which is where Shopify names the plan's own.
func refusedRate(body []byte) (perSecond float64, ok bool) {
	m := exceeded().FindSubmatch(body)
	if m == nil {
		return 0, false
	}
	n, err := strconv.ParseFloat(string(m[1]), 64)
	return n, err == nil && n > 0 && n < 1e6
}

var exceeded = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`Exceeded ([0-9]{1,6}(?:\.[0-9]{1,3})?) calls per second`)
})

// retryAfter reads Retry-After. Zero: none that can be read.
func retryAfter(h Header) time.Duration {
	values := h.Values("Retry-After")
	if len(values) == 0 {
		return 0
	}
	return shopify.ParseRetryAfter(values[0], time.Now())
}

// saysThrottled reads the value of errors. An error with a path is one of a field, in a
// document of which the rest has run.
func saysThrottled(errs []byte) bool {
	if !bytes.Contains(errs, []byte("THROTTLED")) {
		return false
	}
	var list []struct {
		Path       json.RawMessage `json:"path"`
		Extensions struct {
			Code string `json:"code"`
		} `json:"extensions"`
	}
	if json.Unmarshal(errs, &list) != nil {
		return false
	}
	for _, e := range list {
		if e.Extensions.Code == "THROTTLED" && e.Path == nil {
			return true
		}
	}
	return false
}
