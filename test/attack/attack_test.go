//go:build linux

package attack

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
)

const (
	graphQL = api + "graphql.json"
	query   = `{"query":"{shop{name}}"}`
	plenty  = 4096 // descriptors
)

// rounds is how often the well-behaved are looked after while an attack lasts.
const rounds = 5

func (s *sidecar) survives(t *testing.T, method, path, body string) {
	t.Helper()
	for range rounds {
		s.mustAnswer(t, method, path, body)
	}
}

func post(declared int) string {
	return fmt.Sprintf("POST %s HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n", graphQL, declared)
}

func TestBodiesThatLackAByte(t *testing.T) {
	s := start(t, plenty)
	body := strings.Repeat("a", 1<<20-1)
	s.attack(t, 140, func(c net.Conn, _ int) { _, _ = io.WriteString(c, post(1<<20)+body) })
	s.survives(t, http.MethodPost, graphQL, query)
}

func TestBodiesThatAreNeverJudged(t *testing.T) {
	s := start(t, plenty, "EVERGATE_POLICY=read-only")
	body := strings.Repeat("a", 262_142)
	s.attack(t, 1000, func(c net.Conn, _ int) { _, _ = io.WriteString(c, post(262_143)+body) })
	s.survives(t, http.MethodPost, graphQL, query)
}

func TestHeadsThatDoNotEndOfStrangers(t *testing.T) {
	s := start(t, plenty, "EVERGATE_CLIENT_KEYS_FILE="+keysFile(t), "EVERGATE_LISTEN=0.0.0.0:0")
	s.tools = "127.0.0.1" + s.tools[strings.LastIndex(s.tools, ":"):]
	head := "GET " + graphQL + " HTTP/1.1\r\nHost: localhost\r\nX-A: " + strings.Repeat("a", 126_000)
	s.attack(t, 900, func(c net.Conn, _ int) { _, _ = io.WriteString(c, head) })
	s.survives(t, http.MethodPost, graphQL, query)
}

func TestConnectionsThatAskForNothing(t *testing.T) {
	s := start(t, 256)
	s.attack(t, 400, func(net.Conn, int) {})
	s.survives(t, http.MethodGet, api+"shop.json", "")
}

func TestConnectionsThatAskedOnce(t *testing.T) {
	s := start(t, 256)
	s.attack(t, 400, func(c net.Conn, _ int) { _ = request(c, "GET "+api+"shop.json HTTP/1.1\r\nHost: localhost\r\n\r\n") })
	s.survives(t, http.MethodGet, api+"shop.json", "")
}

// Each of them holds a connection to Shopify.
func TestAnswersThatNobodyReads(t *testing.T) {
	s := start(t, 256)
	s.attack(t, 200, func(c net.Conn, _ int) { _, _ = io.WriteString(c, "GET "+long+" HTTP/1.1\r\nHost: localhost\r\n\r\n") })
	s.survives(t, http.MethodGet, api+"shop.json", "")
}

func TestMoreConnectionsThanMemory(t *testing.T) {
	s := start(t, 1<<14)
	s.attack(t, 1500, func(c net.Conn, _ int) { _, _ = io.WriteString(c, "GET "+long+" HTTP/1.1\r\nHost: localhost\r\n\r\n") })
	s.survives(t, http.MethodGet, api+"shop.json", "")
}
