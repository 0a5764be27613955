package admin

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"time"

	"evergate/internal/token"
)

const clientTimeout = 5 * time.Second

// Client calls an admin listener: that of another process, or, for the watchdog, our own.
type Client struct {
	http    http.Client
	base    string
	address string // for people
	key     token.Secret
}

// NewClient returns a client of the admin listener that listens on an address.
func NewClient(network, address string) *Client {
	shown := address
	if network == "unix" {
		shown = "unix:" + address
	}
	return &Client{base: "http://localhost", address: shown, http: http.Client{Timeout: clientTimeout, Transport: &http.Transport{
		DisableKeepAlives: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return dial(ctx, network, address)
		},
	}}}
}

// dial calls an address that somebody listens on. No name is looked up: a container may have nobody to ask.
func dial(ctx context.Context, network, address string) (conn net.Conn, err error) {
	var d net.Dialer
	for _, a := range reachable(network, address) {
		if conn, err = d.DialContext(ctx, network, a); err == nil {
			return conn, nil
		}
	}
	return nil, err
}

// reachable turns an address to listen on into those to call: localhost, 0.0.0.0 and [::] mean this machine's
// loopback, or that among others.
func reachable(network, address string) []string {
	host, port, err := net.SplitHostPort(address)
	if network == "tcp" && err == nil && (host == "" || host == "0.0.0.0" || host == "::" || strings.EqualFold(host, "localhost")) {
		return []string{net.JoinHostPort("127.0.0.1", port), net.JoinHostPort("::1", port)}
	}
	return []string{address}
}

// WithKey has the client say who it is, with a key that the sidecar knows; empty: it does not.
func (c *Client) WithKey(key token.Secret) *Client {
	c.key = key
	return c
}

// Call returns an error, what the answer says, unless the status is 2xx.
func (c *Client) Call(ctx context.Context, method, path string) error {
	_, err := c.ask(ctx, method, path)
	return err
}

// Get returns an answer whose status is 2xx; for another one the error is as of Call.
func (c *Client) Get(ctx context.Context, path string) ([]byte, error) {
	return c.ask(ctx, http.MethodGet, path)
}

// largestAnswer is more than a sidecar ever has to say.
const largestAnswer = 1 << 20

// messageIn is what an answer says that is not a success: a denial's JSON, or a line for probes.
func messageIn(body []byte) string {
	var denied struct{ Errors string }
	if json.Unmarshal(body, &denied) == nil && denied.Errors != "" {
		return denied.Errors
	}
	line, _, _ := strings.Cut(string(body[:min(len(body), 4<<10)]), "\n")
	return line
}

func (c *Client) ask(ctx context.Context, method, path string) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, method, c.base+path, nil)
	if err != nil {
		return nil, err
	}
	if !c.key.Empty() {
		req.Header.Set("Authorization", "Bearer "+c.key.Reveal())
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, fmt.Errorf("no sidecar answers on %s: start it, or set EVERGATE_ADMIN_LISTEN as it has it (%w)", c.address, errors.Unwrap(err))
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, largestAnswer))
	if resp.StatusCode/100 != 2 {
		return nil, fmt.Errorf("%s: %s", resp.Status, messageIn(body))
	}
	return body, err
}
