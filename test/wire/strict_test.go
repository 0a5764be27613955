package wire

import (
	"bufio"
	"errors"
	"io"
	"strings"
	"testing"

	"evergate/test/corpus"
)

// The tests of this package depend on their strict reader, so it is tested first.

const fine = "POST " + api + "/p.json HTTP/1.1\r\nHost: " + shopDomain + "\r\nX-Shopify-Access-Token: " + accessToken + "\r\n"

func TestStrictReaderReadsWhatIsRight(t *testing.T) {
	t.Parallel()
	for send, body := range map[string]string{
		fine + "\r\n":                                                         "",
		fine + "Content-Length: 5\r\n\r\nhello":                               "hello",
		fine + "Content-Length: 0\r\n\r\n":                                    "",
		fine + "Transfer-Encoding: chunked\r\n\r\n" + hello:                   "hello",
		fine + "Transfer-Encoding: chunked\r\n\r\n1\r\na\r\n" + hello:         "ahello",
		fine + "Transfer-Encoding: chunked\r\n\r\n0005\r\nhello\r\n0\r\n\r\n": "hello",
	} {
		m, err := (&reading{}).read(bufio.NewReader(strings.NewReader(send)))
		if err != nil || m.body != body || offence(m) != nil {
			t.Errorf("%q: %q, %v, %v", send, m.body, err, offence(m))
		}
	}
}

func TestStrictReaderTakesOffence(t *testing.T) {
	t.Parallel()
	chunked := fine + "Transfer-Encoding: chunked\r\n\r\n"
	for _, send := range []string{
		strings.ReplaceAll(fine, "\r\n", "\n") + "\n",
		fine + "\n",
		strings.Replace(fine, "HTTP/1.1", "HTTP/1.0", 1) + "\r\n",
		strings.Replace(fine, "POST ", "POST  ", 1) + "\r\n",
		strings.Replace(fine, "POST ", "PO(ST ", 1) + "\r\n",
		strings.Replace(fine, "/p.json", "/p\x01.json", 1) + "\r\n",
		strings.Replace(fine, shopDomain, "evil.example", 1) + "\r\n",
		strings.Replace(fine, accessToken, "shpat_other", 1) + "\r\n",
		strings.Replace(fine, "X-Shopify-Access-Token", "X-Other", 1) + "\r\n",
		fine + "Host: " + shopDomain + "\r\n\r\n",
		fine + "X-Shopify-Access-Token: " + accessToken + "\r\n\r\n",
		fine + "x_shopify_access_token: x\r\n\r\n",
		fine + "Authorization: x\r\n\r\n",
		fine + "Cookie: x\r\n\r\n",
		fine + "Connection: close\r\n\r\n",
		fine + "X-A : b\r\n\r\n",
		fine + "X-A: b\r\n c\r\n\r\n",
		fine + "X-A: b\x00\r\n\r\n",
		fine + ": b\r\n\r\n",
		fine + "nonsense\r\n\r\n",
		fine + "Content_Length: 5\r\n\r\n",
		fine + "Content-Length: 5\r\nContent-Length: 5\r\n\r\nhello",
		fine + "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n" + hello,
		fine + "Content-Length: +5\r\n\r\nhello",
		fine + "Content-Length:\r\n\r\n",
		fine + "Transfer-Encoding: Chunked\r\n\r\n" + hello,
		fine + "Transfer-Encoding: gzip, chunked\r\n\r\n" + hello,
		chunked + "5;ext\r\nhello\r\n0\r\n\r\n",
		chunked + "5 \r\nhello\r\n0\r\n\r\n",
		chunked + "0x5\r\nhello\r\n0\r\n\r\n",
		chunked + "5\nhello\r\n0\r\n\r\n",
		chunked + "5\r\nhello\n0\r\n\r\n",
		chunked + "5\r\nhello0\r\n\r\n",
		chunked + "5\r\nhello\r\n0\r\nX-Sum: 1\r\n\r\n",
	} {
		m, err := (&reading{}).read(bufio.NewReader(strings.NewReader(send)))
		if err == nil {
			err = offence(m)
		}
		var wrong *malformed
		if !errors.As(err, &wrong) {
			t.Errorf("%q: %v, %v", send, m, err)
		}
	}
}

func TestReaderTellsAPartFromAWhole(t *testing.T) {
	t.Parallel()
	for _, lenient := range []bool{false, true} {
		for _, whole := range []string{fine + "\r\n", fine + "Content-Length: 5\r\n\r\nhello", fine + "Transfer-Encoding: chunked\r\n\r\n" + hello} {
			for cut := range len(whole) {
				_, err := (&reading{lenient: lenient}).read(bufio.NewReader(strings.NewReader(whole[:cut])))
				if want := io.ErrUnexpectedEOF; cut == 0 && !errors.Is(err, io.EOF) || cut > 0 && !errors.Is(err, want) {
					t.Errorf("%q: %v", whole[:cut], err)
				}
			}
		}
	}
}

func TestWhatAClientSentIsReadAsAServerMay(t *testing.T) {
	t.Parallel()
	for stream, want := range map[string]int{
		corpus.Probe:                1,
		corpus.Probe + corpus.Probe: 2,
		strings.ReplaceAll(corpus.Probe, "\r\n", "\n") + corpus.Probe: 2,
		"\r\n" + corpus.Probe: 0,
		corpus.Post("Content-Length: 5", "hello\r\n") + corpus.Probe:                         2,
		corpus.Post("Content-Length: 5\r\nContent-Length: 5", "hello") + corpus.Probe:        2,
		corpus.Post("Content-Length: 5\r\nContent-Length: 6", "hello") + corpus.Probe:        0,
		corpus.Post("Content-Length: 3\r\nTransfer-Encoding: chunked", hello) + corpus.Probe: 2,
		corpus.Post("Transfer-Encoding: identity", hello) + corpus.Probe:                     0,
		corpus.Chunk("5;ext\r\nhello\r\n0\r\nX-Sum: 1\r\n\r\n") + corpus.Probe:               2,
		corpus.Chunk("5\r\nhello\r\n0\r\nX-Sum: 1\r\n"):                                      0,
		corpus.Get("X-A: b\r\n Content-Length: 5") + corpus.Probe:                            2,
		strings.Replace(corpus.Chunk(corpus.Probe), "HTTP/1.1", "HTTP/1.0", 1):               2,
		corpus.Probe + "nonsense\r\n\r\n" + corpus.Probe:                                     1,
	} {
		if got, _ := sent(stream); len(got) != want {
			t.Errorf("%q: %d requests %q, want %d", stream, len(got), got, want)
		}
	}
}
