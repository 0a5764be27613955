package corpus

import (
	"strings"

	"evergate/internal/shopsim"
)

// What a header may look like: line ends, names, values, and fields of which there must be
// no second one.

// Get is a GET with these header lines behind the Host.
func Get(header string) string {
	return "GET {api}/p.json HTTP/1.1\r\nHost: localhost\r\n" + header + "\r\n\r\n"
}

const plain = "GET /p.json"

// Lines are about the ends of lines.
var Lines = []Attack{
	refused("bare LF everywhere", "GET {api}/p.json HTTP/1.1\nHost: localhost\nX-A: b\n\n", 400),
	refused("bare LF behind the request line", "GET {api}/p.json HTTP/1.1\nHost: localhost\r\n\r\n", 400),
	refused("bare LF behind the header", "GET {api}/p.json HTTP/1.1\r\nHost: localhost\r\n\n", 400),
	refused("folded line", Get("X-A: b\r\n c"), 400),
	refused("folded line with a tab", Get("X-A: b\r\n\t\tc"), 400),
	refused("folded line of spaces", Get("X-A: b\r\n   "), 400),
	passes("empty line behind a POST", Post("Content-Length: 5", "hello\r\n"), "POST /p.json hello"),

	refused("bare CR everywhere", "GET {api}/p.json HTTP/1.1\rHost: localhost\r\r\n\r\n", 400),
	refused("bare CR behind the request line", "GET {api}/p.json HTTP/1.1\rHost: localhost\r\n\r\n", 400),
	refused("two CR behind the request line", "GET {api}/p.json HTTP/1.1\r\r\nHost: localhost\r\n\r\n", 400),
	refused("two CR behind a field", Get("X-A: b\r\r\nX-C: d"), 400),
	refused("bare CR in a value", Get("X-A: b\rX-Shopify-Access-Token: shpat_evil"), 400),
	refused("bare CR in a name", Get("X\r-A: b"), 400),
	refused("bare CR before a name", Get("\rX-A: b"), 400),
	refused("folded first line", "GET {api}/p.json HTTP/1.1\r\n Host: localhost\r\n\r\n", 400),
	refused("folded first line with a tab", "GET {api}/p.json HTTP/1.1\r\n\tX: y\r\nHost: localhost\r\n\r\n", 400),
	refused("empty line before the request", "\r\n"+Get("X-A: b"), 400),
	refused("line without a colon", Get("nonsense"), 400),
	refused("line without a colon before a folded one", Get("nonsense\r\n : x"), 400),
	refused("name that is empty", Get(": x"), 400),
	refused("name of a space", Get(" : x\r\n"), 400),
	refused("space before the colon", Get("X-A : b"), 400),
	refused("space in a name", Get("X A: b"), 400),
	refused("tab in a name", Get("X\tA: b"), 400),
	refused("NUL in a name", Get("X\x00A: b"), 400),
	refused("control in a name", Get("X\x1fA: b"), 400),
	refused("DEL in a name", Get("X\x7fA: b"), 400),
	refused("umlaut in a name", Get("\xc3\xa4: b"), 400),
	refused("slash in a name", Get("X/A: b"), 400),
	refused("bracket in a name", Get("X(A): b"), 400),
	refused("quote in a name", Get(`X"A: b`), 400),
	refused("comma in a name", Get("X,A: b"), 400),
	refused("at sign in a name", Get("X@A: b"), 400),
	refused("NUL in a value", Get("X-A: b\x00c"), 400),
	refused("control in a value", Get("X-A: b\x01c"), 400),
	refused("escape in a value", Get("X-A: b\x1b[2Jc"), 400),
	refused("DEL in a value", Get("X-A: b\x7fc"), 400),
	passes("tab in a value", Get("X-A: b\tc"), plain),
	passes("umlaut in a value", Get("X-A: \xc3\xa4\xff"), plain),
	passes("empty value", Get("X-A:"), plain),
	passes("odd characters in a name", Get("X!#$%&'*+.^`|~A: b"), plain),
	passes("header of 100 KiB", Get("X-A: "+strings.Repeat("a", 100<<10)), plain),
	passes("header of 500 lines", Get(strings.TrimSuffix(strings.Repeat("X-A: b\r\n", 500), "\r\n")), plain),
	refused("header of 300 KiB", Get("X-A: "+strings.Repeat("a", 300<<10)), 431),
	refused("header of 300 KiB in one name", Get(strings.Repeat("a", 300<<10)+": b"), 431),
	refused("header of 30000 lines", Get(strings.Repeat("X-A: bcdef\r\n", 30000)), 431),
}

// Fields are about names and values of fields.
var Fields = []Attack{
	// The recorder finds two tokens, or another one, by itself.
	passes("token", Get("X-Shopify-Access-Token: shpat_evil"), plain),
	passes("token twice", Get("X-Shopify-Access-Token: shpat_evil\r\nX-Shopify-Access-Token: shpat_evil2"), plain),
	passes("token in odd case", Get("x-sHoPiFy-aCcEsS-tOkEn: shpat_evil"), plain),
	passes("token with underscores", Get("X_Shopify_Access_Token: shpat_evil"), plain),
	passes("token with some underscores", Get("x-shopify_access-token: shpat_evil"), plain),
	refused("token on a folded line", Get("X-A: b\r\n X-Shopify-Access-Token: shpat_evil"), 400),
	refused("token with a folded value", Get("X-Shopify-Access-Token:\r\n shpat_evil"), 400),
	refused("token behind a bare LF", Get("X-A: b\nX-Shopify-Access-Token: shpat_evil"), 400),
	refused("token with a space before the colon", Get("X-Shopify-Access-Token : shpat_evil"), 400),
	passes("token named by Connection", Get("Connection: X-Shopify-Access-Token"), plain),
	passes("host named by Connection", Get("Connection: Host, User-Agent, Content-Length"), plain),
	passes("Connection twice", Get("Connection: X-A\r\nX-A: b\r\nConnection: x-b\r\nX-B: c"), plain),
	passes("other credentials", Get("Authorization: Bearer x\r\nCookie: a=b\r\nProxy-Authorization: Basic eDp5"), plain),
	passes("hop-by-hop fields", Get("TE: trailers\r\nKeep-Alive: timeout=5\r\nProxy-Connection: keep-alive\r\nTrailer: X"), plain),
	{Name: "Connection: close", Send: Get("Connection: close") + Smuggled, Arrives: []string{plain}, Answers: []int{200}, Ends: true},
	{Name: "Connection: close in a list", Send: Get("Connection: X-A, CLOSE") + Smuggled, Arrives: []string{plain}, Answers: []int{200}, Ends: true},
}

// Hosts are about Host.
var Hosts = []Attack{
	passes("host", Get("X-A: b"), plain),
	passes("host in capitals", host("LOCALHOST"), plain),
	passes("host with a port", host("localhost:8080"), plain),
	passes("host as an address", host("127.0.0.1:1"), plain),
	passes("host as an IPv6 address", host("[::1]:8080"), plain),
	passes("host of the shop", host(shopsim.DefaultShop), plain),
	refused("host on a folded line", host("\r\n localhost"), 400),
	passes("host between spaces", host(" \t localhost \t "), plain),
	passes("host and a forwarded one", host("localhost\r\nX-Forwarded-Host: evil.example\r\nForwarded: host=evil.example"), plain),
	passes("host with an underscore beside it", host("localhost\r\nX_Forwarded_Host: evil.example"), plain),
	refused("host missing", "GET {api}/p.json HTTP/1.1\r\nX-A: b\r\n\r\n", 400),
	refused("host twice", host("localhost\r\nHost: localhost"), 400),
	refused("host twice in two cases", host("localhost\r\nhOsT: evil.example"), 400),
	refused("host with a space before the colon", "GET {api}/p.json HTTP/1.1\r\nHost : localhost\r\n\r\n", 400),
	refused("host with a space inside", host("localhost evil.example"), 400),
	refused("host with a control", host("localhost\x01"), 400),
	denied("host empty", host(""), 421),
	denied("host of another", host("evil.example"), 421),
	denied("host of another shop", host("other.myshopify.com"), 421),
	refused("host with a user", host("localhost@evil.example"), 400),
	refused("host with another user", host("evil.example@localhost"), 400),
	refused("host with a path", host("localhost/evil.example"), 400),
	refused("host with a query", host("localhost?evil.example"), 400),
	denied("host with a comma", host("localhost,evil.example"), 421),
	refused("host with a backslash", host(`localhost\evil.example`), 400),
	denied("host with a trailing dot", host("localhost."), 421),
	denied("host with a leading dot", host(".localhost"), 421),
	denied("host with a zone", host("[::1%25lo]"), 421),
	denied("host with a raw zone", host("[::1%lo]:80"), 421),
	denied("host as an open bracket", host("[::1"), 421),
	denied("host as a mapped address", host("[::ffff:127.0.0.1]"), 421),
	denied("host as a short address", host("127.1"), 421),
	denied("host as a number", host("2130706433"), 421),
	denied("host as an octal address", host("0177.0.0.1"), 421),
	denied("host as a hex address", host("0x7f.0.0.1"), 421),
	denied("host as any address", host("0.0.0.0"), 421),
	denied("host with an empty port", host("localhost:"), 421),
	denied("host with port zero", host("localhost:0"), 421),
	denied("host with a large port", host("localhost:65536"), 421),
	denied("host with two ports", host("localhost:80:80"), 421),
	denied("host with a name behind the port", host("localhost:80.evil.example"), 421),
	denied("host that ends like ours", host("evil-localhost"), 421),
	denied("host that begins like ours", host("localhost.evil.example"), 421),
	denied("host rebound", host("127.0.0.1.nip.io"), 421),
	refused("host with a long s", host("localho\xc5\xbft"), 400),
	denied("host of an unknown shop", host("other.localhost"), 404),
}

// host is a GET with this Host.
func host(h string) string { return "GET {api}/p.json HTTP/1.1\r\nHost: " + h + "\r\n\r\n" }
