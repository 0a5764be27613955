package sidecar

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"evergate/internal/config"
	"evergate/internal/logsink"
)

func TestWhatAServerSaysOfClientsIsFewLinesOfEachKind(t *testing.T) {
	var out bytes.Buffer
	sink := logsink.New(&out)
	log := NewLogger(&config.Config{}, sink, FormatJSON, nil)
	errors := log.serverErrors()
	for i := range 500 {
		errors.Printf("http: TLS handshake error from 192.0.2.1:%d: EOF %s", i, strings.Repeat("\x1b[2J", 10_000))
		errors.Printf("http: panic serving 192.0.2.1:%d: boom", i)
		errors.Printf("http2: server: error reading preface from client 192.0.2.1:%d: garbage", i)
		errors.Printf("something of client %d", i)
		errors.Printf("http: TLS handshake error from 192.0.2.2:%d: tls: no certificates configured", i) // said elsewhere
	}
	for range 100 {
		log.whole.Info("request")
	}
	sink.Flush(time.Minute)
	kinds := map[string]int{}
	for line := range strings.Lines(out.String()) {
		var v struct{ Msg, Err string }
		if err := json.Unmarshal([]byte(line), &v); err != nil || len(line) > 32<<10 || strings.Contains(line, "\x1b") {
			t.Fatalf("%.300q: %d bytes, %v", line, len(line), err)
		}
		kinds[v.Msg]++
	}
	if got := fmt.Sprint(kinds); got != "map[http:10 http2:10 http: TLS handshake error:10 http: panic serving:10 request:100]" {
		t.Error(got)
	}
	if got := log.dropped(); got != 4*490 {
		t.Errorf("%d lines are counted as not written", got)
	}
}
