package wire

import (
	"strconv"
	"strings"
)

// Where a request's body ends: Content-Length, Transfer-Encoding and chunks.

// smuggled is a request inside what somebody may take for a body.
const smuggled = "DELETE " + api + "/smuggled.json HTTP/1.1\r\nHost: localhost\r\n\r\n"

// its is the length of smuggled.
var its = strconv.Itoa(len(smuggled))

// hello is a chunked body.
const hello = "5\r\nhello\r\n0\r\n\r\n"

// post is a POST with these header lines and what follows the header.
func post(header, body string) string {
	return "POST {api}/p.json HTTP/1.1\r\nHost: localhost\r\n" + header + "\r\n\r\n" + body
}

// chunk is a chunked POST.
func chunk(body string) string { return post("Transfer-Encoding: chunked", body) }

// brokenOff is a request that turns out to be malformed when a part of it may be on its way.
func brokenOff(name, send string) attack {
	a := refused(name, send, 400)
	a.breaks = true
	return a
}

// cutShort is a POST whose body is shorter than its sender thinks: what is left is no request.
func cutShort(name, send, arrives string) attack {
	return attack{name: name, send: send, arrives: []string{arrives}, answers: []int{200, 400}, ends: true}
}

// two are requests that stand one behind the other and both arrive.
func two(name, send, first, second string) attack {
	return attack{name: name, send: send, arrives: []string{first, second}, answers: []int{200, 200}}
}

var lengths = []attack{
	passes("length", post("Content-Length: 5", "hello"), "POST /p.json hello"),
	passes("length without a space", post("Content-Length:5", "hello"), "POST /p.json hello"),
	passes("length in odd case", post("cOnTeNt-LeNgTh: 5", "hello"), "POST /p.json hello"),
	passes("length between spaces and tabs", post("Content-Length: \t 5 \t", "hello"), "POST /p.json hello"),
	passes("length with leading zeros", post("Content-Length: 0000000000000000000000000005", "hello"), "POST /p.json hello"),
	passes("length twice, the same", post("Content-Length: 5\r\nContent-Length: 5", "hello"), "POST /p.json hello"),
	refused("length on a folded line", post("Content-Length:\r\n 5", "hello"), 400),
	passes("length of a GET", "GET {api}/p.json HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\n\r\nhello", "GET /p.json hello"),
	passes("length of a DELETE that holds a request", "DELETE {api}/p.json HTTP/1.1\r\nHost: localhost\r\nContent-Length: 29\r\n\r\nGET /x HTTP/1.1\r\nHost: evil\r\n", "DELETE /p.json GET /x HTTP/1.1\r\nHost: evil\r\n"),
	passes("length named by Connection", post("Content-Length: 5\r\nConnection: Content-Length", "hello"), "POST /p.json hello"),
	passes("length of nothing", post("Content-Length: 0", ""), "POST /p.json"),
	two("length of nothing before a request", post("Content-Length: 0", smuggled), "POST /p.json", "DELETE /smuggled.json"),
	two("length with an underscore", post("Content_Length: "+its, smuggled), "POST /p.json", "DELETE /smuggled.json"),
	two("length under another name", post("X-Content-Length: "+its, smuggled), "POST /p.json", "DELETE /smuggled.json"),

	refused("length twice, different", post("Content-Length: 5\r\nContent-Length: 6", "hello!"), 400),
	refused("length twice, in two cases", post("Content-Length: 0\r\ncontent-length: "+its, smuggled), 400),
	refused("length twice, zero first", post("Content-Length: 0\r\nContent-Length: "+its, smuggled), 400),
	refused("length twice, zero last", post("Content-Length: "+its+"\r\nContent-Length: 0", smuggled), 400),
	refused("length twice, one spelt with zeros", post("Content-Length: 5\r\nContent-Length: 05", "hello"), 400),
	refused("length three times, the last different", post("Content-Length: 5\r\nContent-Length: 5\r\nContent-Length: 6", "hello!"), 400),
	refused("length list, the same", post("Content-Length: 5,5", "hello"), 400),
	refused("length list, the same, with a space", post("Content-Length: 5, 5", "hello"), 400),
	refused("length list, different", post("Content-Length: 0, "+its, smuggled), 400),
	refused("length with a plus", post("Content-Length: +5", "hello"), 400),
	refused("length below zero", post("Content-Length: -5", "hello"), 400),
	refused("length of minus zero", post("Content-Length: -0", smuggled), 400),
	refused("length in hex", post("Content-Length: 0x5", "hello"), 400),
	refused("length in hex digits", post("Content-Length: a", "0123456789"), 400),
	refused("length in octal", post("Content-Length: 0o5", "hello"), 400),
	refused("length with a digit group", post("Content-Length: 1_0", "0123456789"), 400),
	refused("length with a point", post("Content-Length: 5.0", "hello"), 400),
	refused("length with an exponent", post("Content-Length: 1e1", "0123456789"), 400),
	refused("length in words", post("Content-Length: five", "hello"), 400),
	refused("length in quotes", post(`Content-Length: "5"`, "hello"), 400),
	refused("length empty", post("Content-Length:", smuggled), 400),
	refused("length of spaces", post("Content-Length:   ", smuggled), 400),
	refused("length with a space inside", post("Content-Length: 5 4", smuggled), 400),
	refused("length with a parameter", post("Content-Length: 5;x", "hello"), 400),
	refused("length in other digits", post("Content-Length: \xd9\xa5", "hello"), 400),
	refused("length of 2^63", post("Content-Length: 9223372036854775808", "hello"), 400),
	refused("length of 2^64+5", post("Content-Length: 18446744073709551621", "hello"), 400),
	refused("length of fifty digits", post("Content-Length: "+strings.Repeat("9", 50), "hello"), 400),
	refused("length behind a vertical tab", post("Content-Length:\x0b5", "hello"), 400),
	refused("length before a form feed", post("Content-Length: 5\x0c", "hello"), 400),
	refused("length before a NUL", post("Content-Length: 5\x00", "hello"), 400),
	refused("length with a space before the colon", post("Content-Length : 5", "hello"), 400),
	refused("length with a tab before the colon", post("Content-Length\t: 5", "hello"), 400),
	refused("length with a NUL in the name", post("Content-Length\x00: 5", "hello"), 400),
	refused("length named as one with an umlaut", post("C\xc3\xb6ntent-Length: 5", "hello"), 400),

	cutShort("length too small", post("Content-Length: 3", "hello\r\n\r\n"), "POST /p.json hel"),
	cutShort("length zero before a body", post("Content-Length: 0", "hello\r\n\r\n"), "POST /p.json"),
	cutShort("no length before a body", post("X-No: length", "hello\r\n\r\n"), "POST /p.json"),
	refused("length hidden on a folded line", post("X-A: b\r\n Content-Length: 5", "hello\r\n\r\n"), 400),
}

var codings = []attack{
	passes("chunked", chunk(hello), "POST /p.json hello"),
	passes("chunked in capitals", post("TRANSFER-ENCODING: CHUNKED", hello), "POST /p.json hello"),
	passes("chunked without a space", post("Transfer-Encoding:chunked", hello), "POST /p.json hello"),
	passes("chunked behind a tab", post("Transfer-Encoding:\tchunked", hello), "POST /p.json hello"),
	passes("chunked before spaces", post("Transfer-Encoding: chunked \t ", hello), "POST /p.json hello"),
	refused("chunked on a folded line", post("Transfer-Encoding:\r\n chunked", hello), 400),
	refused("chunked behind a bare LF", post("X-A: b\nTransfer-Encoding: chunked", hello), 400),
	passes("chunked of a GET", "GET {api}/p.json HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n"+hello, "GET /p.json hello"),
	passes("chunked of a HEAD", "HEAD {api}/p.json HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n"+hello, "HEAD /p.json hello"),
	passes("chunked named by Connection", post("Transfer-Encoding: chunked\r\nConnection: Transfer-Encoding", hello), "POST /p.json hello"),
	passes("chunked as a content coding", post("Content-Encoding: chunked\r\nContent-Length: 5", "hello"), "POST /p.json hello"),
	passes("chunked offered in TE", post("TE: chunked\r\nContent-Length: 5", "hello"), "POST /p.json hello"),

	// With both, servers differ in which counts, so neither does (RFC 9112 section 6.3).
	refused("CL.TE", post("Content-Length: "+its+"\r\nTransfer-Encoding: chunked", hello), 400),
	refused("TE.CL", post("Transfer-Encoding: chunked\r\nContent-Length: 3", hello), 400),
	refused("CL.TE with a request behind the body", post("Content-Length: "+strconv.Itoa(len(smuggled)+5)+"\r\nTransfer-Encoding: chunked", "0\r\n\r\n"+smuggled), 400),
	refused("TE.CL with a request inside the body", post("Content-Length: 4\r\nTransfer-Encoding: chunked",
		"1f\r\nDELETE /x HTTP/1.1\r\nHost: y\r\n\r\n\r\n0\r\n\r\n"), 400),
	refused("CL.TE with a length that is none", post("Content-Length: +5\r\nTransfer-Encoding: chunked", hello), 400),
	refused("CL.TE with two lengths", post("Content-Length: 5\r\nContent-Length: 6\r\nTransfer-Encoding: chunked", hello), 400),

	refused("TE.TE chunked twice", post("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked", hello), 501),
	refused("TE.TE chunked and identity", post("Transfer-Encoding: chunked\r\nTransfer-Encoding: identity", hello), 501),
	refused("TE.TE identity and chunked", post("Transfer-Encoding: identity\r\nTransfer-Encoding: chunked", hello), 501),
	refused("TE.TE chunked and nonsense", post("Transfer-Encoding: chunked\r\ntransfer-encoding: cow", hello), 501),
	refused("TE.TE chunked and nothing", post("Transfer-Encoding: chunked\r\nTransfer-Encoding:", hello), 501),
	refused("TE.TE list, identity last", post("Transfer-Encoding: chunked, identity", hello), 501),
	refused("TE.TE list, chunked last", post("Transfer-Encoding: identity, chunked", hello), 501),
	refused("TE.TE list, chunked twice", post("Transfer-Encoding: chunked, chunked", hello), 501),
	refused("TE.TE list with an empty element", post("Transfer-Encoding: ,chunked", hello), 501),
	refused("TE.TE gzip and chunked", post("Transfer-Encoding: gzip, chunked", hello), 501),
	refused("TE.TE on a folded line", post("Transfer-Encoding: chunked\r\n , identity", hello), 400),
	refused("TE xchunked", post("Transfer-Encoding: xchunked", hello), 501),
	refused("TE chunkedx", post("Transfer-Encoding: chunkedx", hello), 501),
	refused("TE in quotes", post(`Transfer-Encoding: "chunked"`, hello), 501),
	refused("TE with a parameter", post("Transfer-Encoding: chunked;q=1", hello), 501),
	refused("TE identity with a length", post("Transfer-Encoding: identity\r\nContent-Length: 5", "hello"), 400),
	refused("TE empty", post("Transfer-Encoding:", hello), 501),
	refused("TE folded in the middle", post("Transfer-Encoding: chu\r\n nked", hello), 400),
	refused("TE with a Kelvin sign", post("Transfer-Encoding: chun\xe2\x84\xaaed", hello), 501),
	refused("TE behind a vertical tab", post("Transfer-Encoding: \x0bchunked", hello), 400),
	refused("TE before a form feed", post("Transfer-Encoding: chunked\x0c", hello), 400),
	refused("TE before a NUL", post("Transfer-Encoding: chunked\x00", hello), 400),
	refused("TE before a bare CR", post("Transfer-Encoding: chunked\rX", hello), 400),
	refused("TE behind a bare CR", post("X-A: b\rTransfer-Encoding: chunked", hello), 400),
	refused("TE with a space before the colon", post("Transfer-Encoding : chunked", hello), 400),
	refused("TE with a tab before the colon", post("Transfer-Encoding\t: chunked", hello), 400),
	refused("TE with the colon on the next line", post("Transfer-Encoding\r\n: chunked", hello), 400),
	refused("TE with a NUL in the name", post("Transfer-Encoding\x00: chunked", hello), 400),
	refused("TE on the first line, which is folded", "POST {api}/p.json HTTP/1.1\r\n Transfer-Encoding: chunked\r\nHost: localhost\r\n\r\n"+hello, 400),
	cutShort("TE with an underscore", post("Transfer_Encoding: chunked", hello), "POST /p.json"),
	refused("TE hidden on a folded line", post("X-A: b\r\n\tTransfer-Encoding: chunked", hello), 400),

	// HTTP/1.0 knows no chunks: there is no body, and what stands there must not become a request.
	{name: "TE in HTTP/1.0", send: "POST {api}/p.json HTTP/1.0\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n" + hello,
		arrives: []string{"POST /p.json"}, answers: []int{200}, ends: true},
	{name: "TE in HTTP/1.0 kept alive", send: "POST {api}/p.json HTTP/1.0\r\nHost: localhost\r\nConnection: keep-alive\r\nTransfer-Encoding: chunked\r\n\r\n" + smuggled,
		arrives: []string{"POST /p.json"}, answers: []int{200}, ends: true},
	refused("TE in HTTP/1.0 kept alive with a length", "POST {api}/p.json HTTP/1.0\r\nHost: localhost\r\nConnection: keep-alive\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"+smuggled, 400),
}

var chunks = []attack{
	passes("chunk of a capital size", chunk("A\r\n0123456789\r\n0\r\n\r\n"), "POST /p.json 0123456789"),
	passes("chunk with leading zeros", chunk("0005\r\nhello\r\n000\r\n\r\n"), "POST /p.json hello"),
	passes("chunk with an extension", chunk("5;ext\r\nhello\r\n0;last\r\n\r\n"), "POST /p.json hello"),
	passes("chunk with an extension and a value", chunk("5;a=b;c=\"d\"\r\nhello\r\n0\r\n\r\n"), "POST /p.json hello"),
	passes("chunk with a space behind the size", chunk("5 \t\r\nhello\r\n0\r\n\r\n"), "POST /p.json hello"),
	passes("chunks of one byte", chunk("1\r\nh\r\n1\r\ne\r\n1\r\nl\r\n1\r\nl\r\n1\r\no\r\n0\r\n\r\n"), "POST /p.json hello"),
	passes("chunk of line ends", chunk("9\r\n\r\n\r\n0\r\n\r\n\r\n0\r\n\r\n"), "POST /p.json \r\n\r\n0\r\n\r\n"),
	passes("no chunk at all", chunk("0\r\n\r\n"), "POST /p.json"),
	two("chunks and a request", chunk(hello+smuggled), "POST /p.json hello", "DELETE /smuggled.json"),

	brokenOff("chunk of no size", chunk("\r\nhello\r\n0\r\n\r\n")),
	brokenOff("chunk of an extension only", chunk(";ext\r\nhello\r\n0\r\n\r\n")),
	brokenOff("chunk size with a prefix", chunk("0x5\r\nhello\r\n0\r\n\r\n")),
	brokenOff("chunk size with a plus", chunk("+5\r\nhello\r\n0\r\n\r\n")),
	brokenOff("chunk size below zero", chunk("-5\r\nhello\r\n0\r\n\r\n")),
	brokenOff("chunk size behind a space", chunk(" 5\r\nhello\r\n0\r\n\r\n")),
	brokenOff("chunk size that is no number", chunk("5g\r\nhello\r\n0\r\n\r\n")),
	brokenOff("chunk size with a space inside", chunk("5 0\r\nhello\r\n0\r\n\r\n")),
	brokenOff("chunk with a space before the extension", chunk("5 ;ext\r\nhello\r\n0\r\n\r\n")),
	brokenOff("chunk size list", chunk("5,5\r\nhello\r\n0\r\n\r\n")),
	brokenOff("chunk size with a digit group", chunk("0_5\r\nhello\r\n0\r\n\r\n")),
	brokenOff("chunk size of 2^64+5", chunk("10000000000000005\r\nhello\r\n0\r\n\r\n")),
	brokenOff("chunk size of 20 zeros", chunk("00000000000000000005\r\nhello\r\n0\r\n\r\n")),
	brokenOff("chunk size before a bare LF", chunk("5\nhello\r\n0\r\n\r\n")),
	brokenOff("chunk size before a bare CR", chunk("5\rhello\r\n0\r\n\r\n")),
	brokenOff("chunk size before two CR", chunk("5\r\r\nhello\r\n0\r\n\r\n")),
	brokenOff("chunk size before a NUL", chunk("5\x00\r\nhello\r\n0\r\n\r\n")),
	brokenOff("chunk size before a vertical tab", chunk("5\x0b\r\nhello\r\n0\r\n\r\n")),
	brokenOff("chunk extension with a bare LF", chunk("5;a\nb\r\nhello\r\n0\r\n\r\n")),
	brokenOff("chunk extension with a bare CR", chunk("5;a\rb\r\nhello\r\n0\r\n\r\n")),
	brokenOff("chunk extension of 5000 bytes", chunk("5;"+strings.Repeat("a", 5000)+"\r\nhello\r\n0\r\n\r\n")),
	brokenOff("chunk longer than its size", chunk("5\r\nhello!\r\n0\r\n\r\n")),
	brokenOff("chunk without a line end", chunk("5\r\nhello0\r\n\r\n")),
	brokenOff("chunk before a bare LF", chunk("5\r\nhello\n0\r\n\r\n")),
	brokenOff("chunk before a bare CR", chunk("5\r\nhello\r0\r\n\r\n")),
	brokenOff("second chunk of no size", chunk("5\r\nhello\r\nx\r\n"+smuggled)),
	brokenOff("last chunk before a bare LF", chunk("5\r\nhello\r\n0\n\r\n")),
	brokenOff("last chunk of minus zero", chunk("5\r\nhello\r\n-0\r\n\r\n"+smuggled)),

	// Trailers are read and end here.
	passes("trailer", chunk("5\r\nhello\r\n0\r\nX-Sum: 1\r\n\r\n"), "POST /p.json hello"),
	passes("trailer, announced", post("Transfer-Encoding: chunked\r\nTrailer: X-Sum", "5\r\nhello\r\n0\r\nX-Sum: 1\r\n\r\n"), "POST /p.json hello"),
	passes("trailer with a token", chunk("5\r\nhello\r\n0\r\nX-Shopify-Access-Token: shpat_evil\r\n\r\n"), "POST /p.json hello"),
	passes("trailer with a token, announced", post("Transfer-Encoding: chunked\r\nTrailer: X-Shopify-Access-Token",
		"5\r\nhello\r\n0\r\nX-Shopify-Access-Token: shpat_evil\r\n\r\n"), "POST /p.json hello"),
	passes("trailer with a length", chunk("5\r\nhello\r\n0\r\nContent-Length: "+its+"\r\n\r\n"), "POST /p.json hello"),
	passes("trailer with a coding", chunk("5\r\nhello\r\n0\r\nTransfer-Encoding: chunked\r\n\r\n"), "POST /p.json hello"),
	passes("trailer with a host", chunk("5\r\nhello\r\n0\r\nHost: evil.example\r\nAuthorization: Bearer x\r\n\r\n"), "POST /p.json hello"),
	passes("trailer with a space before the colon", chunk("5\r\nhello\r\n0\r\nContent-Length : 5\r\n\r\n"), "POST /p.json hello"),
	cutShort("trailer with a bare LF", chunk("5\r\nhello\r\n0\r\nX-Sum: 1\n\r\n")+probe, "POST /p.json hello"), // nobody can tell what is behind it
	refused("trailer that announces a length", post("Transfer-Encoding: chunked\r\nTrailer: Content-Length", hello), 400),
	refused("trailer that announces a coding", post("Transfer-Encoding: chunked\r\nTrailer: Transfer-Encoding", hello), 400),
	brokenOff("trailer without a colon", chunk("5\r\nhello\r\n0\r\nnonsense\r\n\r\n")),
	brokenOff("trailer with a folded first line", chunk("5\r\nhello\r\n0\r\n X-Sum: 1\r\n\r\n")),
	brokenOff("trailer with a bare CR", chunk("5\r\nhello\r\n0\r\nX-Sum: 1\rX\r\n\r\n")),
	brokenOff("trailer with a request in it", chunk("5\r\nhello\r\n0\r\n"+smuggled)),
	brokenOff("trailer of 5000 bytes", chunk("5\r\nhello\r\n0\r\nX-Sum: "+strings.Repeat("1", 5000)+"\r\n\r\n")),
}
