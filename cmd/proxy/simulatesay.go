package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"path/filepath"
	"strings"
	"time"

	"evergate/internal/brief"
	"evergate/internal/clientenv"
	"evergate/internal/shopsim"
)

// runningSim is a simulator that accepts calls.
type runningSim struct {
	*simulation

	url, control, ca string
}

// reachable is an address that this machine's programs can call: "every interface" is none.
func reachable(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return address
	}
	if ip := net.ParseIP(u.Hostname()); ip != nil && ip.IsUnspecified() {
		u.Host = net.JoinHostPort("127.0.0.1", u.Port())
	}
	return u.String()
}

// environment is what a program under test, or Evergate in front of the simulator, takes from its environment.
func (r runningSim) environment() (clientenv.Environment, error) {
	set := []clientenv.Variable{
		{Name: "SHOPIFY_SHOP", Value: shopDomain(r.shop)}, {Name: "SHOPIFY_CLIENT_ID", Value: r.id}, {Name: "SHOPIFY_CLIENT_SECRET", Value: r.secret},
		{Name: "SIMULATOR_URL", Value: r.url},
	}
	if r.control != "" {
		set = append(set, clientenv.Variable{Name: "SIMULATOR_CONTROL_URL", Value: r.control})
	}
	set = append(set, clientenv.Variable{Name: "EVERGATE_UPSTREAM_URL", Value: r.url})
	if r.caFile != "" {
		path, err := filepath.Abs(r.caFile)
		if err != nil {
			return clientenv.Environment{}, err
		}
		set = append(set, clientenv.Variable{Name: "EVERGATE_UPSTREAM_CA_FILE", Value: path})
	}
	return clientenv.Environment{Set: set}, nil
}

// shopDomain is the whole name of a shop.
func shopDomain(name string) string {
	if strings.Contains(name, ".") {
		return name
	}
	return name + ".myshopify.com"
}

// printExports prints the environment without starting anything, so that ports have to be given.
func (m *simulation) printExports(out io.Writer) error {
	scheme := "https://"
	if m.plain {
		scheme = "http://"
	}
	r := runningSim{simulation: m, url: reachable(scheme + m.listen)}
	if m.control != "" {
		r.control = reachable("http://" + m.control)
	}
	for _, address := range []string{m.listen, m.control} {
		if _, port, err := net.SplitHostPort(address); address != "" && (err != nil || port == "0") {
			return configError(fmt.Errorf("--print-env has to know the ports: write for example --listen 127.0.0.1:4443, not %q", address))
		}
	}
	e, err := r.environment()
	if err != nil {
		return err
	}
	text, err := clientenv.Shell(e)
	_, writeErr := io.WriteString(out, text)
	return errors.Join(err, writeErr)
}

// announce says where the simulator listens and how to call it, as text or as one line of JSON.
func (r runningSim) announce(out io.Writer) error {
	e, err := r.environment()
	if err != nil {
		return err
	}
	if r.json {
		environment := map[string]string{}
		for _, v := range e.Set {
			environment[v.Name] = v.Value
		}
		return json.NewEncoder(out).Encode(map[string]any{
			"url": r.url, "control_url": r.control, "shop": shopDomain(r.shop), "client_id": r.id, "client_secret": r.secret, "ca_pem": r.ca,
			"environment": environment,
		})
	}
	// The built-in secret is in the documentation. What somebody chose may be one of a real app, and this may be a log.
	for i, v := range e.Set {
		if v.Value == r.secret && r.secret != shopsim.DefaultClientSecret {
			e.Set[i].Value = "the secret that you gave"
		}
	}
	exports, err := clientenv.Shell(e)
	if err != nil {
		return err
	}
	curl := "curl -sS"
	switch {
	case r.caFile != "":
		curl += ` --cacert "$EVERGATE_UPSTREAM_CA_FILE"`
	case !r.plain:
		curl += " --insecure" // there is no file with the certificate
	}
	trust := ""
	if r.caFile == "" && !r.plain {
		trust = "  # Programs have to trust its certificate: --ca-file FILE writes it and sets EVERGATE_UPSTREAM_CA_FILE, --plain serves HTTP.\n\n"
	}
	control := ""
	if r.control != "" {
		control = "control API at " + r.control + "\n"
	}
	_, err = fmt.Fprintf(out, `simulated Shopify at %[1]s for %[2]s
%[3]s
For the shell that your program runs in:

  %[4]s
%[6]sA token, and a call with it:

  TOKEN=$(%[5]s %[1]s/admin/oauth/access_token -d grant_type=client_credentials \
    -d "client_id=$SHOPIFY_CLIENT_ID" -d "client_secret=$SHOPIFY_CLIENT_SECRET" | sed 's/.*"access_token":"\([^"]*\)".*/\1/')
  %[5]s %[1]s/admin/api/2026-10/shop.json -H "X-Shopify-Access-Token: $TOKEN"

Ctrl-C ends it.

`, r.url, shopDomain(r.shop), control, strings.TrimSuffix(strings.ReplaceAll(exports, "\n", "\n  "), "  "), curl, trust)
	return err
}

// longestURI is how much of a request's address a line shows.
const longestURI = 160

// requestLine is one request in one line. No credential is in it.
func requestLine(e shopsim.Entry) string {
	status := "---" // the connection broke
	if e.Status != 0 {
		status = fmt.Sprint(e.Status)
	}
	line := fmt.Sprintf("%s  %s  %s %s", e.Time.Format(time.TimeOnly), status, e.Method, brief.Text(e.Address(), longestURI))
	for _, more := range []string{string(e.Grant), e.Operation} {
		if more != "" {
			line += "  " + brief.Text(more, longestURI)
		}
	}
	switch {
	case e.Throttled:
		line += "  throttled"
	case e.Cost > 0:
		line += fmt.Sprintf("  cost %d", e.Cost)
	}
	if e.Fault != "" {
		line += "  fault " + string(e.Fault)
	}
	return line
}
