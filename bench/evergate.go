//go:build linux

package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"strconv"
	"strings"
)

// The names that measurements and the report know.
const (
	relayName    = "bare relay"
	evergateName = "Evergate"
	shopsName    = "Evergate, 1 000 shops"
	connectName  = "Evergate, CONNECT"
)

const manyShops = 1000

// buildEvergate builds what a release has (.goreleaser.yaml), of the source around us. With an overlay, it has more in it
// than the source has.
func buildEvergate(out, overlay string) error {
	args := []string{"build", "-trimpath", "-buildvcs=false", "-ldflags", "-s -w -X main.version=bench", "-o", out}
	if overlay != "" {
		args = append(args, "-overlay", overlay)
	}
	_, err := commandOutput([]string{"CGO_ENABLED=0"}, "go", append(args, "evergate/cmd/proxy")...)
	return err
}

const (
	clientID     = "0123456789abcdef0123456789abcdef"
	clientSecret = "shpss_0123456789abcdef0123456789abcdef"
)

// environ is Evergate as it is by default, with a grant that renews itself in a file store.
func environ(p place, more ...string) []string {
	return append([]string{
		"HOME=" + p.dir, "SHOPIFY_SHOP=" + shop, "SHOPIFY_CLIENT_ID=" + clientID, "SHOPIFY_CLIENT_SECRET=" + clientSecret,
		"SHOPIFY_REFRESH_TOKEN=shprt_" + strings.Repeat("0", 32), "EVERGATE_STORE=file:" + filepath.Join(p.dir, "store"),
		"EVERGATE_UPSTREAM_URL=https://" + p.upstream, "EVERGATE_UPSTREAM_CA_FILE=" + p.ca,
		"EVERGATE_LISTEN=" + p.listen, "EVERGATE_ADMIN_LISTEN=" + p.admin, "EVERGATE_CA_DIR=" + filepath.Join(p.dir, "ca"),
	}, more...)
}

// evergate is a peer with more settings.
func evergate(name, binary string, more func(p place) ([]string, error)) *peer {
	return &peer{name: name, version: "of this source, with " + goVersion(binary), program: binary, ready: isReady, start: func(p place) (*process, error) {
		settings := environ(p)
		if more != nil {
			added, err := more(p)
			if err != nil {
				return nil, err
			}
			settings = append(settings, added...)
		}
		return launch(proxyCore(), settings, binary, "serve")
	}}
}

func withShops(p place) ([]string, error) {
	var file strings.Builder
	file.WriteString("shops:\n")
	for i := range manyShops {
		fmt.Fprintf(&file, "  %s: {grant: static, access_token: shpat_%032x}\n", shopName(i), i)
	}
	path, err := p.write("shops.yaml", file.String())
	return []string{"EVERGATE_SHOPS_FILE=" + path}, err
}

// withClientCredentials is the grant that can be renewed as often as somebody asks; a chain of refresh tokens cannot.
func withClientCredentials(place) ([]string, error) {
	return []string{"EVERGATE_GRANT=client_credentials", "EVERGATE_STORE=", "SHOPIFY_REFRESH_TOKEN="}, nil
}

func shopName(i int) string { return fmt.Sprintf("evergate-bench-%04d", i) }

func caFile(p place) string { return filepath.Join(p.dir, "clients-ca.pem") }

func withCA(p place) ([]string, error) { return []string{"EVERGATE_CA_FILE=" + caFile(p)}, nil }

// operators calls the admin listener.
func operators(p place, method, path string) (status int, body string, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, method, "http://"+p.admin+path, http.NoBody)
	if err != nil {
		return 0, "", err
	}
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := client.Do(req)
	if err != nil {
		return 0, "", err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	return resp.StatusCode, string(b), err
}

func isReady(p place) bool {
	status, _, err := operators(p, http.MethodGet, "/readyz?shop="+shop)
	return err == nil && status == http.StatusOK
}

// renew has the token replaced and waits until it is.
func renew(p place) error {
	status, body, err := operators(p, http.MethodPost, "/-/refresh?shop="+shop)
	if err == nil && status >= http.StatusMultipleChoices {
		err = fmt.Errorf("status %d: %s", status, body)
	}
	return err
}

// metric is the sum of a metric's values.
func metric(p place, name string) (sum float64, err error) {
	_, text, err := operators(p, http.MethodGet, "/metrics")
	if err != nil {
		return 0, err
	}
	found := false
	for line := range strings.Lines(text) {
		series, value, _ := strings.Cut(strings.TrimSpace(line), " ")
		if series, _, _ = strings.Cut(series, "{"); series != name {
			continue
		}
		one, err := strconv.ParseFloat(value, 64)
		if err != nil {
			return 0, err
		}
		sum, found = sum+one, true
	}
	if !found {
		return 0, fmt.Errorf("no %s among the metrics", name)
	}
	return sum, nil
}

// neverWaited fails when Evergate has held requests back for a rate limit, of which the upstream has more than anybody can use.
func (r *rig) neverWaited(all []*running) error {
	for _, run := range all {
		if run.ready == nil {
			continue
		}
		sum, err := metric(run.place, "evergate_pace_wait_seconds_sum")
		if err == nil && sum > 0 {
			err = fmt.Errorf("it has waited %g s for a rate limit, which the upstream is to have enough of", sum)
		}
		if err != nil {
			return fmt.Errorf("%s: %w", run.name, err)
		}
	}
	return nil
}
