package sync

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"evergate/internal/shopsim"
	"evergate/test/process"
)

const (
	skus = 60
	life = time.Second
)

var locations = []string{"North", "South"}

// shop is a simulated Shopify that tells when a mutation arrives and when it has been carried out.
type shop struct {
	*shopsim.Sim
	server *httptest.Server
	// struck is called with each mutation, before and after it takes effect.
	struck atomic.Pointer[func(carriedOut bool)]
	token  string // that the test itself looks with
}

func newShop(t *testing.T, seed uint64) *shop {
	t.Helper()
	return shopOf(t, shopsim.Options{
		Shops:    []shopsim.Shop{{Domain: "blue-finch", Products: skus / 2, Variants: 2, Locations: locations}},
		Apps:     []shopsim.App{{ClientID: shopsim.DefaultClientID, ClientSecret: shopsim.DefaultClientSecret, Scopes: shopsim.AllScopes}},
		Settings: shopsim.Settings{TokenLife: life, GraphQLRestore: 2000},
		Seed:     seed, JournalSize: 5000, JournalBody: 1,
	})
}

func shopOf(t *testing.T, options shopsim.Options) *shop {
	t.Helper()
	s := &shop{Sim: shopsim.New(options)}
	s.token = s.IssueToken("", "", 0)
	handler := s.Handler()
	s.server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			panic(http.ErrAbortHandler)
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
		struck := s.struck.Load()
		if struck == nil || !bytes.Contains(body, []byte(`"mutation`)) {
			handler.ServeHTTP(w, r)
			return
		}
		(*struck)(false)
		handler.ServeHTTP(&afterwards{ResponseWriter: w, then: func() { (*struck)(true) }}, r)
	}))
	t.Cleanup(s.server.Close)
	return s
}

// afterwards calls then when the answer begins: what was asked for has been done, and nobody knows it yet.
type afterwards struct {
	http.ResponseWriter
	then func()
}

func (w *afterwards) WriteHeader(status int) {
	if w.then != nil {
		w.then()
		w.then = nil
	}
	w.ResponseWriter.WriteHeader(status)
}

// Unwrap lets the simulator break the connection.
func (w *afterwards) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// lives is how many tokens there have been.
func (s *shop) lives() int { return s.Stats().TokensMinted }

// trouble injects faults of all the kinds that a network and Shopify have.
func (s *shop) trouble() {
	for _, f := range []shopsim.Fault{
		{Kind: shopsim.FaultDrop, AfterCommit: true, Probability: 0.06}, // carried out, and the answer lost
		{Kind: shopsim.FaultDrop, Probability: 0.03},                    // lost before it had an effect
		{Kind: shopsim.FaultCut, Probability: 0.03},
		{Kind: shopsim.FaultTruncate, Probability: 0.02},
		{Kind: shopsim.FaultEmpty, Probability: 0.02},
		{Kind: shopsim.FaultHTML, Probability: 0.01},
		{Kind: shopsim.FaultStatus, Status: 502, Probability: 0.02},
		{Kind: shopsim.FaultStatus, Status: 503, RetryAfter: "0.1", AfterCommit: true, Probability: 0.02},
		{Kind: shopsim.FaultStatus, Status: 504, Probability: 0.02},
		{Kind: shopsim.FaultStatus, Status: 520, AfterCommit: true, Probability: 0.02},
		{Kind: shopsim.FaultStatus, Status: 429, RetryAfter: "0.1", Probability: 0.02},
		{Kind: shopsim.FaultDelay, Delay: 100 * time.Millisecond, Probability: 0.05},
		{Kind: shopsim.FaultStatus, Status: 200, ContentType: "application/json", Probability: 0.03,
			Body: `{"errors":[{"message":"Throttled","extensions":{"code":"THROTTLED"}}]}`},
		{Kind: shopsim.FaultStatus, Status: 200, AfterCommit: true, ContentType: "application/json", Probability: 0.02,
			Body: `{"errors":[{"message":"Internal error","extensions":{"code":"INTERNAL_SERVER_ERROR"}}]}`},
	} {
		f.Endpoint = shopsim.GraphQL
		s.Inject(f)
	}
	s.Inject(shopsim.Fault{Kind: shopsim.FaultDrop, AfterCommit: true, Endpoint: shopsim.TokenEndpoint, Probability: 0.1})
}

// stock is what the shop has, or what a sheet says: prices and quantities by SKU and, after a slash, location.
type stock map[string]string

func (s *shop) stock(t *testing.T) stock {
	t.Helper()
	const query = `{ productVariants(first: 250) { nodes { sku price inventoryItem { inventoryLevels(first: 3) { nodes {
		location { name } quantities(names: ["available"]) { quantity } } } } } } }`
	s.ClearFaults()
	s.Change(func(c *shopsim.Settings) { c.MaxQueryCost, c.GraphQLSize = 1e6, 1e6 })
	defer s.Change(func(c *shopsim.Settings) { c.MaxQueryCost, c.GraphQLSize = 0, 0 })
	body, err := json.Marshal(map[string]string{"query": query})
	if err != nil {
		t.Fatal(err)
	}
	req := httptest.NewRequest("POST", "https://blue-finch.myshopify.com/admin/api/2026-10/graphql.json", bytes.NewReader(body))
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("X-Shopify-Access-Token", s.token)
	w := httptest.NewRecorder()
	s.Handler().ServeHTTP(w, req)
	var answer struct {
		Data struct {
			ProductVariants struct {
				Nodes []struct {
					SKU, Price    string
					InventoryItem struct {
						InventoryLevels struct {
							Nodes []struct {
								Location   struct{ Name string }
								Quantities []struct{ Quantity int }
							}
						}
					}
				}
			}
		}
	}
	if err := json.Unmarshal(w.Body.Bytes(), &answer); err != nil || len(answer.Data.ProductVariants.Nodes) != skus {
		t.Fatalf("the stock cannot be read: %v, %s", err, w.Body)
	}
	out := stock{}
	for _, v := range answer.Data.ProductVariants.Nodes {
		out[v.SKU] = v.Price
		for _, l := range v.InventoryItem.InventoryLevels.Nodes {
			out[v.SKU+"/"+l.Location.Name] = fmt.Sprint(l.Quantities[0].Quantity)
		}
	}
	return out
}

// next is a stock in which some rows differ.
func (have stock) next(rng *rand.Rand) stock {
	out := stock{}
	for key, value := range have {
		out[key] = value
		switch _, place, quantity := strings.Cut(key, "/"); {
		case rng.IntN(3) > 0:
		case quantity:
			out[key] = fmt.Sprint(rng.IntN(200) + len(place))
		default:
			out[key] = fmt.Sprintf("%d.%02d", rng.IntN(90), rng.IntN(100))
		}
	}
	return out
}

// sheet writes a stock as people do: with a mark, semicolons, decimal commas and signs.
func (want stock) sheet(t *testing.T, dir string) string {
	t.Helper()
	var b strings.Builder
	b.WriteString("\ufeffSKU;Price;Qty;Warehouse;Note\r\n")
	for product := range skus / 2 {
		for variant := range 2 {
			sku := fmt.Sprintf("SKU-%05d-%d", product+1, variant+1)
			for i, place := range locations {
				price := ""
				if i == 0 {
					price = strings.ReplaceAll(want[sku], ".", ",") + " €"
				}
				fmt.Fprintf(&b, "%s;%s;%s;%s;\"a note;\r\nof two lines\"\r\n", sku, price, want[sku+"/"+place], place)
			}
		}
	}
	path := filepath.Join(dir, "sheet.csv")
	if err := os.WriteFile(path, []byte(b.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// evergate starts Evergate in front of the shop.
func (s *shop) evergate(t *testing.T, port string, more ...string) *process.Process {
	t.Helper()
	cmd := process.Command(t, program, append([]string{
		"SHOPIFY_SHOP=blue-finch", "SHOPIFY_CLIENT_ID=" + shopsim.DefaultClientID, "SHOPIFY_CLIENT_SECRET=" + shopsim.DefaultClientSecret,
		"EVERGATE_UPSTREAM_URL=" + s.server.URL, "EVERGATE_LISTEN=127.0.0.1:" + port, "EVERGATE_ADMIN_LISTEN=127.0.0.1:0",
	}, more...), "serve")
	return process.Launch(t, cmd)
}
