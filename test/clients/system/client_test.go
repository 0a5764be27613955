//go:build linux

package system

import (
	"os/exec"
	"path/filepath"
	"testing"

	"evergate/test/process"
)

// mode is a way to lead a program to Evergate.
type mode string

const (
	byURL    mode = "base URL"
	byRun    mode = "`run`"
	byHosts  mode = "hosts file"
	bySocket mode = "socket"
)

var modes = []mode{byURL, byRun, byHosts, bySocket}

// client is one that comes with a system.
type client struct {
	name    string
	program []string // the interpreter and the file in examples
	probe   []string // succeeds where the client is installed
	agent   string   // how the value of User-Agent begins that it sends by itself; empty: it sends none
	// curlrc is what the user's file of settings says, for the one client that reads such a file.
	curlrc string
	// speaks are the lines that it prints on standard error, by curlrc.
	speaks string
	// in are the modes that there are for it, and fails those of them that do not work.
	in, fails []mode
	// needs and trap are what people have to know.
	needs, trap string
}

const python = "/usr/bin/python3" // the one that Debian's packages belong to

var everywhere = []mode{byURL, byRun, byHosts}

var clients = []client{
	{
		name: "curl, HTTP/1.1", program: []string{"bash", "bash/products-curl.sh"}, probe: []string{"sh", "-c", "curl --version && jq --version"}, agent: "curl/",
		curlrc: "http1.1\nwrite-out = \"%{stderr}%{http_version}\\n\"\n", speaks: "1.1", in: append(everywhere, bySocket),
		needs: "`HTTPS_PROXY`, `CURL_CA_BUNDLE`", trap: "what `~/.curlrc` and the command line say comes first",
	},
	{
		name: "curl, HTTP/2", program: []string{"bash", "bash/products-curl.sh"}, probe: []string{"sh", "-c", "curl --version && jq --version"}, agent: "curl/",
		curlrc: "http2\nwrite-out = \"%{stderr}%{http_version}\\n\"\n", speaks: "2", in: []mode{byRun, byHosts},
		needs: "the same", trap: "it is what curl asks for by https; `http://` stays HTTP/1.1",
	},
	{
		name: "wget", program: []string{"bash", "bash/products-wget.sh"}, probe: []string{"sh", "-c", "wget --version && jq --version"}, agent: "Wget/", in: everywhere,
		needs: "`https_proxy` in lower case, `WGETRC`", trap: "`WGETRC` takes the place of `~/.wgetrc`, which `run` therefore copies",
	},
	{
		name: "Python, urllib", program: []string{python, "python/products_urllib.py"}, probe: []string{python, "--version"}, agent: "Python-urllib/", in: everywhere,
		needs: "`HTTPS_PROXY`, `SSL_CERT_FILE`", trap: "the file takes the place of the system's roots",
	},
	{
		name: "Python, requests", program: []string{python, "python/products_requests.py"}, probe: []string{python, "-c", "import requests"}, agent: "python-requests/", in: everywhere,
		needs: "`HTTPS_PROXY`, `REQUESTS_CA_BUNDLE`", trap: "`SSL_CERT_FILE` is not read; `trust_env = False` turns all of it off",
	},
	{
		name: "PHP, curl", program: []string{"php", "php/products-curl.php"}, probe: []string{"php", "-r", "curl_init();"}, in: append(everywhere, bySocket),
		needs: "`HTTPS_PROXY`, `PHP_INI_SCAN_DIR`", trap: "`CURL_CA_BUNDLE` is not read, only `curl.cainfo` of an ini file",
	},
	{
		name: "PHP, streams", program: []string{"php", "php/products-streams.php"}, probe: []string{"php", "-r", "exit(extension_loaded('openssl') ? 0 : 1);"}, in: everywhere, fails: []mode{byRun},
		needs: "`PHP_INI_SCAN_DIR`", trap: "no proxy is read from the environment: `file_get_contents` and SOAP",
	},
	{
		name: "Ruby, Net::HTTP", program: []string{"ruby", "ruby/products.rb"}, probe: []string{"ruby", "-e", "require 'net/http'"}, agent: "Ruby", in: everywhere,
		needs: "`http_proxy`, `SSL_CERT_FILE`", trap: "`HTTPS_PROXY` is not read, `http_proxy` counts for https too",
	},
	{
		name: "Perl, LWP", program: []string{"perl", "perl/products-lwp.pl"}, probe: []string{"perl", "-MLWP::Protocol::https", "-e", "1"}, agent: "libwww-perl/", in: everywhere,
		needs: "`https_proxy`, `PERL_LWP_ENV_PROXY=1`, `PERL_LWP_SSL_CA_FILE`", trap: "without `PERL_LWP_ENV_PROXY` or `env_proxy` no proxy is used",
	},
	{
		name: "Perl, HTTP::Tiny", program: []string{"perl", "perl/products-tiny.pl"}, probe: []string{"perl", "-MHTTP::Tiny", "-MIO::Socket::SSL", "-e", "1"}, agent: "HTTP-Tiny/", in: everywhere,
		needs: "`https_proxy`, `SSL_CERT_FILE`", trap: "before version 0.083 nothing is verified without `verify_SSL => 1`",
	},
	{
		name: ".NET, Mono", program: []string{"testdata/csharp", "dotnet/Products.cs"}, probe: []string{"sh", "-c", "mono --version && mcs --version && which cert-sync"}, in: everywhere,
		needs: "`https_proxy`", trap: "Mono trusts a store of its own alone: `cert-sync --user \"$SSL_CERT_FILE\"` fills it",
	},
}

// require ends the test where the client is not installed.
func (c client) require(t *testing.T) {
	t.Helper()
	if out, err := exec.CommandContext(t.Context(), c.probe[0], c.probe[1:]...).CombinedOutput(); err != nil {
		process.Missing(t, c.name+" is not installed ("+string(out)+err.Error()+")", "scripts/install-test-deps")
	}
}

// interpreter runs programs for it.
func (c client) interpreter() string { return c.program[0] }

// command is how its program is started.
func (c client) command(t *testing.T) []string {
	t.Helper()
	path, err := filepath.Abs(filepath.Join("../../../examples", c.program[1]))
	if err != nil {
		t.Fatal(err)
	}
	return []string{c.program[0], path}
}
