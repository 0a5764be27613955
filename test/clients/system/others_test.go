//go:build linux

package system

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"evergate/internal/shopsim"
	"evergate/test/clients/machine"
	"evergate/test/process"
)

// other is a library that makes one call in each mode: what it reads of its environment is the question, and not what it can do.
type other struct {
	name, pkg string   // pkg is Debian's
	command   []string // is given the address, and prints the shop's name
	fails     []mode
	mind      string
}

const printName = "['shop']['name']"

// others are the libraries that people call Shopify with beside those of clients, and those that led nowhere.
var others = []other{
	{name: "Python, httpx", pkg: "python3-httpx", command: []string{python, "-c", "import httpx, sys; print(httpx.get(sys.argv[1]).json()" + printName + ")"}},
	{
		name: "Python, aiohttp", pkg: "python3-aiohttp", command: aiohttp("ClientSession()"), fails: []mode{byRun},
		mind: "reads no proxy but with `trust_env=True`, and then all of it",
	},
	{name: "Python, aiohttp with `trust_env`", pkg: "python3-aiohttp", command: aiohttp("ClientSession(trust_env=True)")},
	{
		name: "Python, pycurl", pkg: "python3-pycurl", command: []string{python, "-c", "import pycurl, sys; c = pycurl.Curl(); c.setopt(c.URL, sys.argv[1]); c.perform()"}, fails: []mode{byRun, byHosts},
		mind: "libcurl, other than curl, reads the proxy and no certificates from the environment: `CAINFO`, or `evergate ca install`",
	},
	{name: "PHP, Guzzle", pkg: "php-guzzlehttp-guzzle", command: guzzle("")},
	{name: "PHP, Guzzle without curl", pkg: "php-guzzlehttp-guzzle", command: guzzle("['handler' => GuzzleHttp\\HandlerStack::create(new GuzzleHttp\\Handler\\StreamHandler())]")},
	{name: "PHP, Symfony's HttpClient", pkg: "php-symfony-http-client", command: symfony("HttpClient::create()")},
	{name: "PHP, Symfony's HttpClient without curl", pkg: "php-symfony-http-client", command: symfony("new NativeHttpClient()")},
	{name: "Ruby, HTTParty", pkg: "ruby-httparty", command: ruby("httparty", "HTTParty.get(ARGV[0]).body"), mind: "Shopify's gem `shopify_api` calls with it"},
	{name: "Ruby, Faraday", pkg: "ruby-faraday", command: ruby("faraday", "Faraday.get(ARGV[0]).body")},
	{name: "Ruby, http.rb", pkg: "ruby-http", command: ruby("http", "HTTP.get(ARGV[0]).to_s"), fails: []mode{byRun}, mind: "reads no proxy"},
	{
		name: "Perl, Mojolicious", pkg: "libmojolicious-perl", command: []string{"perl", "-MMojo::UserAgent", "-e", "print Mojo::UserAgent->new->get($ARGV[0])->result->json->{shop}{name}"},
		mind: "`MOJO_PROXY=1`, which `run` and `env` set",
	},
}

func aiohttp(session string) []string {
	return []string{python, "-c", `import aiohttp, asyncio, sys
async def main():
    async with aiohttp.` + session + ` as session, session.get(sys.argv[1]) as answer:
        print((await answer.json())` + printName + `)
asyncio.run(main())`}
}

func guzzle(options string) []string {
	return []string{"php", "-r", "require 'GuzzleHttp/autoload.php'; echo json_decode((new GuzzleHttp\\Client(" + options + "))->get($argv[1])->getBody())->shop->name;"}
}

func symfony(client string) []string {
	return []string{
		"php", "-r",
		"require 'Symfony/Component/HttpClient/autoload.php'; use Symfony\\Component\\HttpClient\\{HttpClient, NativeHttpClient}; echo (" + client + ")->request('GET', $argv[1])->toArray()" + printName + ";",
	}
}

func ruby(library, body string) []string {
	return []string{"ruby", "-r", library, "-r", "json", "-e", "puts JSON.parse(" + body + ")" + printName}
}

// Each of them is led to Evergate, or not, as the manual says.
func TestOtherLibrariesAreLed(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("runs a program for each: not with -short")
	}
	requireOthers(t)
	t.Run("mode", func(t *testing.T) {
		for _, way := range everywhere {
			t.Run(nameOf(client{name: "others"}, way), func(t *testing.T) {
				t.Parallel()
				newTrial(t, client{name: "others"}, way, shopsim.Settings{}).mustLead(t, way)
			})
		}
	})
	var b strings.Builder
	b.WriteString("\n| library |")
	for _, way := range everywhere {
		fmt.Fprintf(&b, " %s |", way)
	}
	b.WriteString(" mind |\n|" + strings.Repeat("---|", len(everywhere)+2) + "\n")
	for _, o := range others {
		fmt.Fprintf(&b, "| %s |", o.name)
		for _, way := range everywhere {
			fmt.Fprintf(&b, " %s |", map[bool]string{true: "yes", false: "**no**"}[!slices.Contains(o.fails, way)])
		}
		fmt.Fprintf(&b, " %s |\n", o.mind)
	}
	if !t.Failed() {
		inManual(t, "others", b.String()+"\n")
	}
}

// mustLead runs all of them on one machine, at once.
func (r *trial) mustLead(t *testing.T, way mode) {
	t.Helper()
	address := "https://" + machine.Shop
	if way == byURL {
		address = local
	}
	var script strings.Builder
	for i, o := range others {
		var words []string
		for _, word := range append(slices.Clone(o.command), address+"/admin/api/2026-10/shop.json") {
			words = append(words, "'"+strings.ReplaceAll(word, "'", `'\''`)+"'")
		}
		fmt.Fprintf(&script, "{ %s > %d.out 2> %d.err; echo %d $?; } &\n", strings.Join(words, " "), i, i, i)
	}
	script.WriteString("wait\nfor i in *.out; do echo \"== ${i%.out}\"; cat $i; echo; cat ${i%.out}.err; done\n")
	r.start(t, "sh", "-c", "cd $HOME\n"+script.String())
	if code := r.child.ExitWithin(t, 2*process.Patience); code != 0 {
		t.Fatalf("exit code %d", code)
	}
	codes, said, _ := strings.Cut(r.child.Out.String(), "== ")
	outputs := map[int]string{}
	for part := range strings.SplitSeq(said, "== ") {
		var i int
		_, _ = fmt.Sscan(part, &i)
		outputs[i] = part
	}
	if len(outputs) != len(others) {
		t.Fatalf("%d libraries have said something: %v", len(outputs), slices.Sorted(maps.Keys(outputs)))
	}
	led := 0
	for i, o := range others {
		works := strings.Contains(codes, fmt.Sprintf("%d 0\n", i)) && strings.Contains(outputs[i], "Acme")
		if want := !slices.Contains(o.fails, way); works != want {
			t.Errorf("%s works: %v, want %v; it said %s", o.name, works, want, outputs[i])
		}
		if works {
			led++
		}
	}
	if n := r.Stats().Routes["rest:shop"][200]; n != led {
		t.Errorf("%d calls reached Shopify, of %d libraries that work", n, led)
	}
}

// requireOthers ends the test where one of them is not installed.
func requireOthers(t *testing.T) {
	t.Helper()
	packages := map[string]bool{}
	for _, o := range others {
		packages[o.pkg] = true
	}
	names := slices.Sorted(maps.Keys(packages))
	if out, err := process.Output(process.Command(t, "dpkg-query", nil, append([]string{"--show", "--showformat=${db:Status-Abbrev} ${Package}\n"}, names...)...)); err != nil || strings.Count(out, "ii ") != len(names) {
		process.Missing(t, fmt.Sprintf("libraries are not installed: %v; there are %q", err, out), "apt-get install "+strings.Join(names, " "))
	}
}
