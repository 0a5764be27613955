package inject

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"evergate/internal/pace"
	"evergate/internal/upstream"
)

// own is the one field of a header that only one request has; a mistake, if there are more or it says something else.
func own(h http.Header, id string) error {
	found := 0
	for name, values := range h {
		if !strings.HasPrefix(name, "X-Only-") {
			continue
		}
		found++
		if name != "X-Only-"+id || len(values) != 1 || values[0] != id {
			return fmt.Errorf("the message of %s has %s: %q", id, name, values)
		}
	}
	if found != 1 {
		return fmt.Errorf("the message of %s has %d fields of its own", id, found)
	}
	return nil
}

func bodyOf(id string, n int) string { return `{"query":"` + strings.Repeat(id+" ", n) + `"}` }

// TestNothingOfARequestIsFoundInAnother has many clients at once send requests of every kind, of which some give up in the middle of the answer. What one
// request and its answer are made of is used again for others.
func TestNothingOfARequestIsFoundInAnother(t *testing.T) {
	const clients, each, kinds = 12, 60, 6
	var mu sync.Mutex
	refused := map[string]bool{}
	r := newRig(t, func(w http.ResponseWriter, req *http.Request) {
		id := req.URL.Query().Get("id")
		n, _ := strconv.Atoi(id)
		body, err := io.ReadAll(req.Body)
		if err == nil {
			err = own(req.Header, id)
		}
		want := ""
		if req.Method == http.MethodPost {
			want = bodyOf(id, n%500)
		}
		if err != nil || string(body) != want || req.Header.Get("X-Shopify-Access-Token") != "shpat_first" {
			t.Errorf("%s: %v, %.100q, %q", id, err, body, req.Header)
		}
		w.Header().Set("X-Only-"+id, id)
		answer := `{"data":"` + strings.Repeat(id+" ", n%3000) + `","extensions":{"cost":{"requestedQueryCost":1,"actualQueryCost":1,"throttleStatus":{"maximumAvailable":1e6,"currentlyAvailable":1e6,"restoreRate":1e5}}}}`
		switch n % kinds {
		case 0: // comes in chunks, and not at once
			_, _ = io.WriteString(w, answer[:len(answer)/2])
			_ = http.NewResponseController(w).Flush()
			_, _ = io.WriteString(w, answer[len(answer)/2:])
		case 1:
			w.WriteHeader(http.StatusBadGateway)
			_, _ = io.WriteString(w, answer)
		case 2: // is sent again
			mu.Lock()
			again := refused[id]
			refused[id] = true
			mu.Unlock()
			if !again {
				_, _ = io.WriteString(w, `{"errors":[{"message":"Throttled","extensions":{"code":"THROTTLED"}}],"extensions":{"cost":{"requestedQueryCost":1,"actualQueryCost":null,"throttleStatus":{"maximumAvailable":1e6,"currentlyAvailable":0,"restoreRate":1e5}}}}`)
				return
			}
			_, _ = io.WriteString(w, answer)
		case 3:
			w.WriteHeader(http.StatusNoContent)
		default:
			w.Header().Set("Content-Length", strconv.Itoa(len(answer)))
			_, _ = io.WriteString(w, answer)
		}
	}, func(o *Options, _ *upstream.Options) {
		oneShop(*o).Pace = pace.New(pace.Options{MaxWait: testPatience})
	})
	var all sync.WaitGroup
	for client := range clients {
		all.Go(func() {
			tr := &http.Transport{DisableCompression: true}
			defer tr.CloseIdleConnections()
			for i := range each {
				n := 10_000 + client*each + i
				if err := ask(t.Context(), tr, r.url, n, n%kinds == 5 && i%2 == 0); err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
}

// ask sends one request and looks at the answer.
func ask(ctx context.Context, tr *http.Transport, url string, n int, leave bool) error {
	ctx, cancel := context.WithTimeout(ctx, testPatience)
	defer cancel()
	id := strconv.Itoa(n)
	method, path, body := http.MethodPost, graphQLPath, io.Reader(strings.NewReader(bodyOf(id, n%500)))
	if n%4 == 0 && n%6 != 2 {
		method, path, body = http.MethodGet, "/admin/api/2026-10/products.json", nil
	}
	req, err := http.NewRequestWithContext(ctx, method, url+path+"?id="+id, body)
	if err != nil {
		return err
	}
	req.Header.Set("X-Only-"+id, id)
	resp, err := tr.RoundTrip(req)
	if err != nil {
		return fmt.Errorf("%s: %w", id, err)
	}
	defer resp.Body.Close()
	if err := own(resp.Header, id); err != nil {
		return err
	}
	if leave {
		_, _ = io.ReadFull(resp.Body, make([]byte, 100))
		time.AfterFunc(time.Duration(n%7)*100*time.Microsecond, cancel)
	}
	text, err := io.ReadAll(resp.Body)
	switch {
	case leave:
		return nil
	case err != nil:
		return fmt.Errorf("%s: %w", id, err)
	case resp.StatusCode != http.StatusNoContent && !strings.HasPrefix(string(text), `{"data":"`+strings.Repeat(id+" ", n%3000)+`","extensions"`):
		return fmt.Errorf("%s: the answer is %.100q", id, text)
	}
	return nil
}
