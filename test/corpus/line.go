package corpus

import (
	"strings"

	"evergate/internal/shopsim"
)

// What a request line may look like, and what a client may offer or ask for.

// line is a request with this request line.
func line(l string) string { return l + "\r\nHost: localhost\r\n\r\n" }

// Targets are about what is asked for.
var Targets = []Attack{
	passes("absolute form", line("GET http://localhost{api}/p.json HTTP/1.1"), plain),
	passes("absolute form in capitals", line("GET HTTP://LOCALHOST:80{api}/p.json HTTP/1.1"), plain),
	passes("absolute form with https", line("GET https://localhost{api}/p.json HTTP/1.1"), plain),
	passes("absolute form beside another Host", "GET http://localhost{api}/p.json HTTP/1.1\r\nHost: evil.example\r\n\r\n", plain),
	passes("shop in front", line("GET /"+shopsim.DefaultShop+"{api}/p.json?a=%2F HTTP/1.1"), "GET /p.json?a=%2F"),
	passes("query as it is", line("GET {api}/p.json?a=%2f..//&%zz=%&\"<>[]^`{|}\\=;c=/?d HTTP/1.1"), "GET /p.json?a=%2f..//&%zz=%&\"<>[]^`{|}\\=;c=/?d"),
	passes("fragment in a query", line("GET {api}/p.json?a#b HTTP/1.1"), "GET /p.json?a#b"),
	passes("empty query", line("GET {api}/p.json? HTTP/1.1"), "GET /p.json?"),
	passes("raw bytes", line("GET {api}/\xc3\xa9\xff.json?\xff HTTP/1.1"), "GET /\xc3\xa9\xff.json?\xff"),
	passes("escapes as they are", line("GET {api}/%70%2E%e2%82%AC.json HTTP/1.1"), "GET /%70%2E%e2%82%AC.json"),
	passes("target of 60 KiB", line("GET {api}/p.json?"+strings.Repeat("a", 60<<10)+" HTTP/1.1"), "GET /p.json?"+strings.Repeat("a", 60<<10)),
	refused("target of 300 KiB", line("GET {api}/p.json?"+strings.Repeat("a", 300<<10)+" HTTP/1.1"), 431),

	denied("absolute form to another", line("GET http://evil.example{api}/p.json HTTP/1.1"), 403),
	denied("absolute form with a user", line("GET http://localhost@evil.example{api}/p.json HTTP/1.1"), 403),
	denied("absolute form with our name as a user", line("GET http://a:b@localhost{api}/p.json HTTP/1.1"), 421),
	denied("absolute form without a host", line("GET http://{api}/p.json HTTP/1.1"), 421),
	denied("absolute form without a path", line("GET http://localhost HTTP/1.1"), 403),
	denied("absolute form of a file", line("GET file://localhost{api}/p.json HTTP/1.1"), 403),
	denied("absolute form of one slash", line("GET http:{api}/p.json HTTP/1.1"), 403),
	denied("asterisk", line("OPTIONS * HTTP/1.1"), 403),
	denied("asterisk of a GET", line("GET * HTTP/1.1"), 403),
	denied("network path", line("GET //evil.example{api}/p.json HTTP/1.1"), 400),
	denied("dot segment", line("GET {api}/../oauth/access_token HTTP/1.1"), 400),
	denied("dot segment in escapes", line("GET {api}/%2e%2E/p.json HTTP/1.1"), 400),
	denied("backslash", line(`GET {api}\p.json HTTP/1.1`), 400),
	denied("fragment", line("GET {api}/p.json#x HTTP/1.1"), 400),
	denied("encoded slash", line("GET {api}/a%2Fp.json HTTP/1.1"), 400),
	denied("encoded NUL", line("GET {api}/p%00.json HTTP/1.1"), 400),
	denied("token endpoint", line("POST /admin/oauth/access_token HTTP/1.1"), 403),
	denied("authority form", line("GET localhost:80 HTTP/1.1"), 403),
	refused("authority form of an address", line("GET 127.0.0.1:80 HTTP/1.1"), 400),
	refused("relative path", line("GET admin/API/p.json HTTP/1.1"), 400),
	refused("half an escape", line("GET {api}/p%4.json HTTP/1.1"), 400),
	refused("NUL in the target", line("GET {api}/p\x00.json HTTP/1.1"), 400),
	refused("control in the query", line("GET {api}/p.json?\x01 HTTP/1.1"), 400),
	refused("DEL in the query", line("GET {api}/p.json?\x7f HTTP/1.1"), 400),
	refused("tab in the target", line("GET {api}/p\t.json HTTP/1.1"), 400),
	refused("bare CR in the target", line("GET {api}/p\r.json HTTP/1.1"), 400),
	refused("space in the target", line("GET {api}/p .json HTTP/1.1"), 400),
	refused("version in the target", line("GET {api}/p.json HTTP/1.1 HTTP/1.1"), 400),
	refused("two spaces before the target", line("GET  {api}/p.json HTTP/1.1"), 400),
	refused("two spaces behind the target", line("GET {api}/p.json  HTTP/1.1"), 400),
	refused("tabs for spaces", line("GET\t{api}/p.json\tHTTP/1.1"), 400),
	refused("no target", line("GET HTTP/1.1"), 400),
	refused("empty target", line("GET  HTTP/1.1"), 400),
}

// Methods are about the method.
var Methods = []Attack{
	// A method is a name in whatever case, and Shopify's to judge.
	passes("method in small letters", line("get {api}/p.json HTTP/1.1"), "get /p.json"),
	passes("method of one's own", line("QUERY {api}/p.json HTTP/1.1"), "QUERY /p.json"),
	passes("method of odd characters", line("M-SEARCH!#$%&'*+.^_`|~ {api}/p.json HTTP/1.1"), "M-SEARCH!#$%&'*+.^_`|~ /p.json"),
	passes("method of 8000 letters", line(strings.Repeat("G", 8000)+" {api}/p.json HTTP/1.1"), strings.Repeat("G", 8000)+" /p.json"),
	passes("method OPTIONS", line("OPTIONS {api}/p.json HTTP/1.1"), "OPTIONS /p.json"),
	passes("method PATCH without a body", line("PATCH {api}/p.json HTTP/1.1"), "PATCH /p.json"),
	denied("method TRACE", line("TRACE {api}/p.json HTTP/1.1"), 403),
	denied("method trace", line("trace {api}/p.json HTTP/1.1"), 403),
	refused("method CONNECT", line("CONNECT {api}/p.json HTTP/1.1"), 403),
	refused("method CONNECT to us", line("CONNECT localhost:80 HTTP/1.1"), 403),
	refused("method CONNECT to another", line("CONNECT evil.example:443 HTTP/1.1"), 403),
	denied("method TRACE with a body", "TRACE {api}/p.json HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\n\r\nhello", 403),
	refused("method with an at sign", line("G@T {api}/p.json HTTP/1.1"), 400),
	refused("method with a bracket", line("GET( {api}/p.json HTTP/1.1"), 400),
	refused("method with a NUL", line("GET\x00 {api}/p.json HTTP/1.1"), 400),
	refused("method with a colon", line("GET: {api}/p.json HTTP/1.1"), 400),
	refused("method with an umlaut", line("G\xc3\x84T {api}/p.json HTTP/1.1"), 400),
	refused("method empty", line(" {api}/p.json HTTP/1.1"), 400),
	refused("method of 300 KiB", line(strings.Repeat("G", 300<<10)+" {api}/p.json HTTP/1.1"), 431),
}

// Versions are about the version, and what is no request at all.
var Versions = []Attack{
	// A later 1.x is answered as 1.1, which is what RFC 9110 section 2.5 has in mind.
	passes("HTTP/1.2", line("GET {api}/p.json HTTP/1.2"), plain),
	passes("HTTP/1.9 chunked", "POST {api}/p.json HTTP/1.9\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n"+Hello, "POST /p.json hello"),
	refused("HTTP/0.9", "GET {api}/p.json\r\n", 400),
	refused("HTTP/0.9 by name", line("GET {api}/p.json HTTP/0.9"), 505),
	refused("HTTP/2.0", line("GET {api}/p.json HTTP/2.0"), 505),
	refused("HTTP/2", line("GET {api}/p.json HTTP/2"), 400),
	refused("HTTP/3.0", line("GET {api}/p.json HTTP/3.0"), 505),
	refused("HTTP/1", line("GET {api}/p.json HTTP/1"), 400),
	refused("HTTP/1.10", line("GET {api}/p.json HTTP/1.10"), 400),
	refused("HTTP/1.1.1", line("GET {api}/p.json HTTP/1.1.1"), 400),
	refused("HTTP/01.1", line("GET {api}/p.json HTTP/01.1"), 400),
	refused("HTTP/11", line("GET {api}/p.json HTTP/11"), 400),
	refused("HTTP/1,1", line("GET {api}/p.json HTTP/1,1"), 400),
	refused("HTTP/-1.1", line("GET {api}/p.json HTTP/-1.1"), 400),
	refused("http in small letters", line("GET {api}/p.json http/1.1"), 400),
	refused("another protocol", line("GET {api}/p.json HTTPS/1.1"), 400),
	refused("a space behind the version", line("GET {api}/p.json HTTP/1.1 "), 400),
	refused("a tab behind the version", line("GET {api}/p.json HTTP/1.1\t"), 400),
	refused("the preface of HTTP/2", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00", 421),
	refused("the preface of HTTP/2 with a path", "PRI {api}/p.json HTTP/2.0\r\n\r\n", 505),
	refused("a TLS hello", "\x16\x03\x01\x00\xa5\x01\x00\x00\xa1\x03\x03\r\n\r\n", 400),
	refused("an answer", "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", 400),

	// An HTTP/1.0 connection carries one request: RFC 9112 appendix C.2.2 tells what becomes of others.
	{Name: "HTTP/1.0", Send: "GET {api}/p.json HTTP/1.0\r\n\r\n" + Smuggled, Arrives: []string{plain}, Answers: []int{200}, Ends: true},
	{Name: "HTTP/1.0 kept alive", Send: "GET {api}/p.json HTTP/1.0\r\nConnection: keep-alive\r\n\r\n" + Smuggled, Arrives: []string{plain}, Answers: []int{200}, Ends: true},
	{Name: "HTTP/1.0 with a body", Send: "POST {api}/p.json HTTP/1.0\r\nContent-Length: 5\r\n\r\nhello", Arrives: []string{"POST /p.json hello"}, Answers: []int{200}, Ends: true},
	{Name: "HTTP/1.0 to another host", Send: "GET {api}/p.json HTTP/1.0\r\nHost: evil.example\r\nConnection: keep-alive\r\n\r\n" + Smuggled, Answers: []int{421}, Ends: true},
}

// Offers are about what a client offers or asks for: Expect, Upgrade, Connection.
var Offers = []Attack{
	passes("upgrade to h2c", Get("Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAoAAAAAIAAAAA"), plain),
	passes("upgrade to h2c with a body", Post("Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\nContent-Length: 5", "hello"), "POST /p.json hello"),
	passes("upgrade to h2c twice", Get("Connection: Upgrade\r\nUpgrade: h2c\r\nUpgrade: websocket"), plain),
	passes("upgrade without Connection", Get("Upgrade: h2c"), plain),
	passes("upgrade to a WebSocket", Get("Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13"), plain),
	passes("upgrade to TLS", Get("Connection: Upgrade\r\nUpgrade: TLS/1.3"), plain),
	denied("upgrade on a denied path", line("GET /admin/oauth/authorize HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: h2c"), 403),

	{Name: "expectation", Send: Post("Content-Length: 5\r\nExpect: 100-continue", "hello"), Arrives: []string{"POST /p.json hello"}, Answers: []int{100, 200}},
	{Name: "expectation in capitals", Send: Post("Content-Length: 5\r\nExpect: 100-CONTINUE", "hello"), Arrives: []string{"POST /p.json hello"}, Answers: []int{100, 200}},
	{Name: "expectation with chunks", Send: Post("Transfer-Encoding: chunked\r\nExpect: 100-continue", Hello), Arrives: []string{"POST /p.json hello"}, Answers: []int{100, 200}},
	passes("expectation without a body", Get("Expect: 100-continue"), plain),
	passes("expectation of nothing", Post("Content-Length: 0\r\nExpect: 100-continue", ""), "POST /p.json"),
	{Name: "expectation in HTTP/1.0", Send: "POST {api}/p.json HTTP/1.0\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\nhello", Arrives: []string{"POST /p.json hello"}, Answers: []int{200}, Ends: true},
	refused("expectation of something else", Post("Content-Length: 5\r\nExpect: 200-ok", "hello"), 417),
	refused("expectation of something else without a body", Get("Expect: nonsense"), 417),
	{Name: "expectation on a denied path", Send: "POST /admin/oauth/access_token HTTP/1.1\r\nHost: localhost\r\nContent-Length: " + its + "\r\nExpect: 100-continue\r\n\r\n" + Smuggled, Answers: []int{403}, Ends: true},

	two("pipelined", Get("X-A: b")+Get("X-A: b"), plain, plain),
	two("pipelined with bodies", Post("Content-Length: 5", "hello")+Chunk(Hello), "POST /p.json hello", "POST /p.json hello"),
	{Name: "pipelined and malformed", Send: Get("X-A: b") + "nonsense\r\n\r\n" + Get("X-A: b"), Arrives: []string{plain}, Answers: []int{200, 400}, Ends: true},
	{Name: "pipelined behind a denied one", Send: line("GET /admin/oauth/authorize HTTP/1.1") + Get("X-A: b"), Arrives: []string{plain}, Answers: []int{403, 200}},
	{Name: "pipelined behind a denied body", Send: "POST /admin/oauth/access_token HTTP/1.1\r\nHost: localhost\r\nContent-Length: " + its + "\r\n\r\n" + Smuggled + Get("X-A: b"), Arrives: []string{plain}, Answers: []int{403, 200}},
	{Name: "pipelined behind denied chunks", Send: "POST /admin/oauth/access_token HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n" + Hello + Get("X-A: b"), Arrives: []string{plain}, Answers: []int{403, 200}},
	{Name: "pipelined behind denied chunks that are malformed", Send: "POST /admin/oauth/access_token HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n" + Smuggled, Answers: []int{403}, Ends: true},
}
