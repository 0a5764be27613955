package corpus

import (
	"strconv"
	"strings"
)

// Where a request's body ends: Content-Length, Transfer-Encoding and chunks.

// Smuggled is a request inside what somebody may take for a body.
const Smuggled = "DELETE " + API + "/smuggled.json HTTP/1.1\r\nHost: localhost\r\n\r\n"

// its is the length of Smuggled.
var its = strconv.Itoa(len(Smuggled))

// Hello is a chunked body.
const Hello = "5\r\nhello\r\n0\r\n\r\n"

// Post is a POST with these header lines and what follows the header.
func Post(header, body string) string {
	return "POST {api}/p.json HTTP/1.1\r\nHost: localhost\r\n" + header + "\r\n\r\n" + body
}

// Chunk is a chunked POST.
func Chunk(body string) string { return Post("Transfer-Encoding: chunked", body) }

// brokenOff is a request that turns out to be malformed when a part of it may be on its way.
func brokenOff(name, send string) Attack {
	a := refused(name, send, 400)
	a.Breaks = true
	return a
}

// cutShort is a POST whose body is shorter than its sender thinks: what is left is no request.
func cutShort(name, send, arrives string) Attack {
	return Attack{Name: name, Send: send, Arrives: []string{arrives}, Answers: []int{200, 400}, Ends: true}
}

// two are requests that stand one behind the other and both arrive.
func two(name, send, first, second string) Attack {
	return Attack{Name: name, Send: send, Arrives: []string{first, second}, Answers: []int{200, 200}}
}

// Lengths are about Content-Length.
var Lengths = []Attack{
	passes("length", Post("Content-Length: 5", "hello"), "POST /p.json hello"),
	passes("length without a space", Post("Content-Length:5", "hello"), "POST /p.json hello"),
	passes("length in odd case", Post("cOnTeNt-LeNgTh: 5", "hello"), "POST /p.json hello"),
	passes("length between spaces and tabs", Post("Content-Length: \t 5 \t", "hello"), "POST /p.json hello"),
	passes("length with leading zeros", Post("Content-Length: 0000000000000000000000000005", "hello"), "POST /p.json hello"),
	passes("length twice, the same", Post("Content-Length: 5\r\nContent-Length: 5", "hello"), "POST /p.json hello"),
	refused("length on a folded line", Post("Content-Length:\r\n 5", "hello"), 400),
	passes("length of a GET", "GET {api}/p.json HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\n\r\nhello", "GET /p.json hello"),
	passes("length of a DELETE that holds a request", "DELETE {api}/p.json HTTP/1.1\r\nHost: localhost\r\nContent-Length: 29\r\n\r\nGET /x HTTP/1.1\r\nHost: evil\r\n", "DELETE /p.json GET /x HTTP/1.1\r\nHost: evil\r\n"),
	passes("length named by Connection", Post("Content-Length: 5\r\nConnection: Content-Length", "hello"), "POST /p.json hello"),
	passes("length of nothing", Post("Content-Length: 0", ""), "POST /p.json"),
	two("length of nothing before a request", Post("Content-Length: 0", Smuggled), "POST /p.json", "DELETE /smuggled.json"),
	two("length with an underscore", Post("Content_Length: "+its, Smuggled), "POST /p.json", "DELETE /smuggled.json"),
	two("length under another name", Post("X-Content-Length: "+its, Smuggled), "POST /p.json", "DELETE /smuggled.json"),

	refused("length twice, different", Post("Content-Length: 5\r\nContent-Length: 6", "hello!"), 400),
	refused("length twice, in two cases", Post("Content-Length: 0\r\ncontent-length: "+its, Smuggled), 400),
	refused("length twice, zero first", Post("Content-Length: 0\r\nContent-Length: "+its, Smuggled), 400),
	refused("length twice, zero last", Post("Content-Length: "+its+"\r\nContent-Length: 0", Smuggled), 400),
	refused("length twice, one spelt with zeros", Post("Content-Length: 5\r\nContent-Length: 05", "hello"), 400),
	refused("length three times, the last different", Post("Content-Length: 5\r\nContent-Length: 5\r\nContent-Length: 6", "hello!"), 400),
	refused("length list, the same", Post("Content-Length: 5,5", "hello"), 400),
	refused("length list, the same, with a space", Post("Content-Length: 5, 5", "hello"), 400),
	refused("length list, different", Post("Content-Length: 0, "+its, Smuggled), 400),
	refused("length with a plus", Post("Content-Length: +5", "hello"), 400),
	refused("length below zero", Post("Content-Length: -5", "hello"), 400),
	refused("length of minus zero", Post("Content-Length: -0", Smuggled), 400),
	refused("length in hex", Post("Content-Length: 0x5", "hello"), 400),
	refused("length in hex digits", Post("Content-Length: a", "0123456789"), 400),
	refused("length in octal", Post("Content-Length: 0o5", "hello"), 400),
	refused("length with a digit group", Post("Content-Length: 1_0", "0123456789"), 400),
	refused("length with a point", Post("Content-Length: 5.0", "hello"), 400),
	refused("length with an exponent", Post("Content-Length: 1e1", "0123456789"), 400),
	refused("length in words", Post("Content-Length: five", "hello"), 400),
	refused("length in quotes", Post(`Content-Length: "5"`, "hello"), 400),
	refused("length empty", Post("Content-Length:", Smuggled), 400),
	refused("length of spaces", Post("Content-Length:   ", Smuggled), 400),
	refused("length with a space inside", Post("Content-Length: 5 4", Smuggled), 400),
	refused("length with a parameter", Post("Content-Length: 5;x", "hello"), 400),
	refused("length in other digits", Post("Content-Length: \xd9\xa5", "hello"), 400),
	refused("length of 2^63", Post("Content-Length: 9223372036854775808", "hello"), 400),
	refused("length of 2^64+5", Post("Content-Length: 18446744073709551621", "hello"), 400),
	refused("length of fifty digits", Post("Content-Length: "+strings.Repeat("9", 50), "hello"), 400),
	refused("length behind a vertical tab", Post("Content-Length:\x0b5", "hello"), 400),
	refused("length before a form feed", Post("Content-Length: 5\x0c", "hello"), 400),
	refused("length before a NUL", Post("Content-Length: 5\x00", "hello"), 400),
	refused("length with a space before the colon", Post("Content-Length : 5", "hello"), 400),
	refused("length with a tab before the colon", Post("Content-Length\t: 5", "hello"), 400),
	refused("length with a NUL in the name", Post("Content-Length\x00: 5", "hello"), 400),
	refused("length named as one with an umlaut", Post("C\xc3\xb6ntent-Length: 5", "hello"), 400),

	cutShort("length too small", Post("Content-Length: 3", "hello\r\n\r\n"), "POST /p.json hel"),
	cutShort("length zero before a body", Post("Content-Length: 0", "hello\r\n\r\n"), "POST /p.json"),
	cutShort("no length before a body", Post("X-No: length", "hello\r\n\r\n"), "POST /p.json"),
	refused("length hidden on a folded line", Post("X-A: b\r\n Content-Length: 5", "hello\r\n\r\n"), 400),
}

// Codings are about Transfer-Encoding.
var Codings = []Attack{
	passes("chunked", Chunk(Hello), "POST /p.json hello"),
	passes("chunked in capitals", Post("TRANSFER-ENCODING: CHUNKED", Hello), "POST /p.json hello"),
	passes("chunked without a space", Post("Transfer-Encoding:chunked", Hello), "POST /p.json hello"),
	passes("chunked behind a tab", Post("Transfer-Encoding:\tchunked", Hello), "POST /p.json hello"),
	passes("chunked before spaces", Post("Transfer-Encoding: chunked \t ", Hello), "POST /p.json hello"),
	refused("chunked on a folded line", Post("Transfer-Encoding:\r\n chunked", Hello), 400),
	refused("chunked behind a bare LF", Post("X-A: b\nTransfer-Encoding: chunked", Hello), 400),
	passes("chunked of a GET", "GET {api}/p.json HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n"+Hello, "GET /p.json hello"),
	passes("chunked of a HEAD", "HEAD {api}/p.json HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n"+Hello, "HEAD /p.json hello"),
	passes("chunked named by Connection", Post("Transfer-Encoding: chunked\r\nConnection: Transfer-Encoding", Hello), "POST /p.json hello"),
	passes("chunked as a content coding", Post("Content-Encoding: chunked\r\nContent-Length: 5", "hello"), "POST /p.json hello"),
	passes("chunked offered in TE", Post("TE: chunked\r\nContent-Length: 5", "hello"), "POST /p.json hello"),

	// With both, servers differ in which counts, so neither does (RFC 9112 section 6.3).
	refused("CL.TE", Post("Content-Length: "+its+"\r\nTransfer-Encoding: chunked", Hello), 400),
	refused("TE.CL", Post("Transfer-Encoding: chunked\r\nContent-Length: 3", Hello), 400),
	refused("CL.TE with a request behind the body", Post("Content-Length: "+strconv.Itoa(len(Smuggled)+5)+"\r\nTransfer-Encoding: chunked", "0\r\n\r\n"+Smuggled), 400),
	refused("TE.CL with a request inside the body", Post("Content-Length: 4\r\nTransfer-Encoding: chunked",
		"1f\r\nDELETE /x HTTP/1.1\r\nHost: y\r\n\r\n\r\n0\r\n\r\n"), 400),
	refused("CL.TE with a length that is none", Post("Content-Length: +5\r\nTransfer-Encoding: chunked", Hello), 400),
	refused("CL.TE with two lengths", Post("Content-Length: 5\r\nContent-Length: 6\r\nTransfer-Encoding: chunked", Hello), 400),

	refused("TE.TE chunked twice", Post("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked", Hello), 501),
	refused("TE.TE chunked and identity", Post("Transfer-Encoding: chunked\r\nTransfer-Encoding: identity", Hello), 501),
	refused("TE.TE identity and chunked", Post("Transfer-Encoding: identity\r\nTransfer-Encoding: chunked", Hello), 501),
	refused("TE.TE chunked and nonsense", Post("Transfer-Encoding: chunked\r\ntransfer-encoding: cow", Hello), 501),
	refused("TE.TE chunked and nothing", Post("Transfer-Encoding: chunked\r\nTransfer-Encoding:", Hello), 501),
	refused("TE.TE list, identity last", Post("Transfer-Encoding: chunked, identity", Hello), 501),
	refused("TE.TE list, chunked last", Post("Transfer-Encoding: identity, chunked", Hello), 501),
	refused("TE.TE list, chunked twice", Post("Transfer-Encoding: chunked, chunked", Hello), 501),
	refused("TE.TE list with an empty element", Post("Transfer-Encoding: ,chunked", Hello), 501),
	refused("TE.TE gzip and chunked", Post("Transfer-Encoding: gzip, chunked", Hello), 501),
	refused("TE.TE on a folded line", Post("Transfer-Encoding: chunked\r\n , identity", Hello), 400),
	refused("TE xchunked", Post("Transfer-Encoding: xchunked", Hello), 501),
	refused("TE chunkedx", Post("Transfer-Encoding: chunkedx", Hello), 501),
	refused("TE in quotes", Post(`Transfer-Encoding: "chunked"`, Hello), 501),
	refused("TE with a parameter", Post("Transfer-Encoding: chunked;q=1", Hello), 501),
	refused("TE identity with a length", Post("Transfer-Encoding: identity\r\nContent-Length: 5", "hello"), 400),
	refused("TE empty", Post("Transfer-Encoding:", Hello), 501),
	refused("TE folded in the middle", Post("Transfer-Encoding: chu\r\n nked", Hello), 400),
	refused("TE with a Kelvin sign", Post("Transfer-Encoding: chun\xe2\x84\xaaed", Hello), 501),
	refused("TE behind a vertical tab", Post("Transfer-Encoding: \x0bchunked", Hello), 400),
	refused("TE before a form feed", Post("Transfer-Encoding: chunked\x0c", Hello), 400),
	refused("TE before a NUL", Post("Transfer-Encoding: chunked\x00", Hello), 400),
	refused("TE before a bare CR", Post("Transfer-Encoding: chunked\rX", Hello), 400),
	refused("TE behind a bare CR", Post("X-A: b\rTransfer-Encoding: chunked", Hello), 400),
	refused("TE with a space before the colon", Post("Transfer-Encoding : chunked", Hello), 400),
	refused("TE with a tab before the colon", Post("Transfer-Encoding\t: chunked", Hello), 400),
	refused("TE with the colon on the next line", Post("Transfer-Encoding\r\n: chunked", Hello), 400),
	refused("TE with a NUL in the name", Post("Transfer-Encoding\x00: chunked", Hello), 400),
	refused("TE on the first line, which is folded", "POST {api}/p.json HTTP/1.1\r\n Transfer-Encoding: chunked\r\nHost: localhost\r\n\r\n"+Hello, 400),
	cutShort("TE with an underscore", Post("Transfer_Encoding: chunked", Hello), "POST /p.json"),
	refused("TE hidden on a folded line", Post("X-A: b\r\n\tTransfer-Encoding: chunked", Hello), 400),

	// HTTP/1.0 knows no chunks: there is no body, and what stands there must not become a request.
	{Name: "TE in HTTP/1.0", Send: "POST {api}/p.json HTTP/1.0\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n" + Hello,
		Arrives: []string{"POST /p.json"}, Answers: []int{200}, Ends: true},
	{Name: "TE in HTTP/1.0 kept alive", Send: "POST {api}/p.json HTTP/1.0\r\nHost: localhost\r\nConnection: keep-alive\r\nTransfer-Encoding: chunked\r\n\r\n" + Smuggled,
		Arrives: []string{"POST /p.json"}, Answers: []int{200}, Ends: true},
	refused("TE in HTTP/1.0 kept alive with a length", "POST {api}/p.json HTTP/1.0\r\nHost: localhost\r\nConnection: keep-alive\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"+Smuggled, 400),
}

// Chunks are about a body in chunks.
var Chunks = []Attack{
	passes("chunk of a capital size", Chunk("A\r\n0123456789\r\n0\r\n\r\n"), "POST /p.json 0123456789"),
	passes("chunk with leading zeros", Chunk("0005\r\nhello\r\n000\r\n\r\n"), "POST /p.json hello"),
	passes("chunk with an extension", Chunk("5;ext\r\nhello\r\n0;last\r\n\r\n"), "POST /p.json hello"),
	passes("chunk with an extension and a value", Chunk("5;a=b;c=\"d\"\r\nhello\r\n0\r\n\r\n"), "POST /p.json hello"),
	passes("chunk with a space behind the size", Chunk("5 \t\r\nhello\r\n0\r\n\r\n"), "POST /p.json hello"),
	passes("chunks of one byte", Chunk("1\r\nh\r\n1\r\ne\r\n1\r\nl\r\n1\r\nl\r\n1\r\no\r\n0\r\n\r\n"), "POST /p.json hello"),
	passes("chunk of line ends", Chunk("9\r\n\r\n\r\n0\r\n\r\n\r\n0\r\n\r\n"), "POST /p.json \r\n\r\n0\r\n\r\n"),
	passes("no chunk at all", Chunk("0\r\n\r\n"), "POST /p.json"),
	two("chunks and a request", Chunk(Hello+Smuggled), "POST /p.json hello", "DELETE /smuggled.json"),

	brokenOff("chunk of no size", Chunk("\r\nhello\r\n0\r\n\r\n")),
	brokenOff("chunk of an extension only", Chunk(";ext\r\nhello\r\n0\r\n\r\n")),
	brokenOff("chunk size with a prefix", Chunk("0x5\r\nhello\r\n0\r\n\r\n")),
	brokenOff("chunk size with a plus", Chunk("+5\r\nhello\r\n0\r\n\r\n")),
	brokenOff("chunk size below zero", Chunk("-5\r\nhello\r\n0\r\n\r\n")),
	brokenOff("chunk size behind a space", Chunk(" 5\r\nhello\r\n0\r\n\r\n")),
	brokenOff("chunk size that is no number", Chunk("5g\r\nhello\r\n0\r\n\r\n")),
	brokenOff("chunk size with a space inside", Chunk("5 0\r\nhello\r\n0\r\n\r\n")),
	brokenOff("chunk with a space before the extension", Chunk("5 ;ext\r\nhello\r\n0\r\n\r\n")),
	brokenOff("chunk size list", Chunk("5,5\r\nhello\r\n0\r\n\r\n")),
	brokenOff("chunk size with a digit group", Chunk("0_5\r\nhello\r\n0\r\n\r\n")),
	brokenOff("chunk size of 2^64+5", Chunk("10000000000000005\r\nhello\r\n0\r\n\r\n")),
	brokenOff("chunk size of 20 zeros", Chunk("00000000000000000005\r\nhello\r\n0\r\n\r\n")),
	brokenOff("chunk size before a bare LF", Chunk("5\nhello\r\n0\r\n\r\n")),
	brokenOff("chunk size before a bare CR", Chunk("5\rhello\r\n0\r\n\r\n")),
	brokenOff("chunk size before two CR", Chunk("5\r\r\nhello\r\n0\r\n\r\n")),
	brokenOff("chunk size before a NUL", Chunk("5\x00\r\nhello\r\n0\r\n\r\n")),
	brokenOff("chunk size before a vertical tab", Chunk("5\x0b\r\nhello\r\n0\r\n\r\n")),
	brokenOff("chunk extension with a bare LF", Chunk("5;a\nb\r\nhello\r\n0\r\n\r\n")),
	brokenOff("chunk extension with a bare CR", Chunk("5;a\rb\r\nhello\r\n0\r\n\r\n")),
	brokenOff("chunk extension of 5000 bytes", Chunk("5;"+strings.Repeat("a", 5000)+"\r\nhello\r\n0\r\n\r\n")),
	brokenOff("chunk longer than its size", Chunk("5\r\nhello!\r\n0\r\n\r\n")),
	brokenOff("chunk without a line end", Chunk("5\r\nhello0\r\n\r\n")),
	brokenOff("chunk before a bare LF", Chunk("5\r\nhello\n0\r\n\r\n")),
	brokenOff("chunk before a bare CR", Chunk("5\r\nhello\r0\r\n\r\n")),
	brokenOff("second chunk of no size", Chunk("5\r\nhello\r\nx\r\n"+Smuggled)),
	brokenOff("last chunk before a bare LF", Chunk("5\r\nhello\r\n0\n\r\n")),
	brokenOff("last chunk of minus zero", Chunk("5\r\nhello\r\n-0\r\n\r\n"+Smuggled)),

	// Trailers are read and end here.
	passes("trailer", Chunk("5\r\nhello\r\n0\r\nX-Sum: 1\r\n\r\n"), "POST /p.json hello"),
	passes("trailer, announced", Post("Transfer-Encoding: chunked\r\nTrailer: X-Sum", "5\r\nhello\r\n0\r\nX-Sum: 1\r\n\r\n"), "POST /p.json hello"),
	passes("trailer with a token", Chunk("5\r\nhello\r\n0\r\nX-Shopify-Access-Token: shpat_evil\r\n\r\n"), "POST /p.json hello"),
	passes("trailer with a token, announced", Post("Transfer-Encoding: chunked\r\nTrailer: X-Shopify-Access-Token",
		"5\r\nhello\r\n0\r\nX-Shopify-Access-Token: shpat_evil\r\n\r\n"), "POST /p.json hello"),
	passes("trailer with a length", Chunk("5\r\nhello\r\n0\r\nContent-Length: "+its+"\r\n\r\n"), "POST /p.json hello"),
	passes("trailer with a coding", Chunk("5\r\nhello\r\n0\r\nTransfer-Encoding: chunked\r\n\r\n"), "POST /p.json hello"),
	passes("trailer with a host", Chunk("5\r\nhello\r\n0\r\nHost: evil.example\r\nAuthorization: Bearer x\r\n\r\n"), "POST /p.json hello"),
	passes("trailer with a space before the colon", Chunk("5\r\nhello\r\n0\r\nContent-Length : 5\r\n\r\n"), "POST /p.json hello"),
	cutShort("trailer with a bare LF", Chunk("5\r\nhello\r\n0\r\nX-Sum: 1\n\r\n")+Probe, "POST /p.json hello"), // nobody can tell what is behind it
	refused("trailer that announces a length", Post("Transfer-Encoding: chunked\r\nTrailer: Content-Length", Hello), 400),
	refused("trailer that announces a coding", Post("Transfer-Encoding: chunked\r\nTrailer: Transfer-Encoding", Hello), 400),
	brokenOff("trailer without a colon", Chunk("5\r\nhello\r\n0\r\nnonsense\r\n\r\n")),
	brokenOff("trailer with a folded first line", Chunk("5\r\nhello\r\n0\r\n X-Sum: 1\r\n\r\n")),
	brokenOff("trailer with a bare CR", Chunk("5\r\nhello\r\n0\r\nX-Sum: 1\rX\r\n\r\n")),
	brokenOff("trailer with a request in it", Chunk("5\r\nhello\r\n0\r\n"+Smuggled)),
	brokenOff("trailer of 5000 bytes", Chunk("5\r\nhello\r\n0\r\nX-Sum: "+strings.Repeat("1", 5000)+"\r\n\r\n")),
}
