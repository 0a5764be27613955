package upstream

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"net/http"

	"evergate/internal/wire"
)

// answerBody is an answer's body, read straight from the connection. It belongs to one goroutine.
type answerBody struct {
	x       *exchange // nil: it is over, and err says how
	err     error
	resp    *http.Response
	keep    bool
	chunked bool
	state   chunkState
	left    int64 // of the body; where it comes in chunks, of this one

	foreign *http.Response // reads the rest of the chunks; nil: nobody has to
}

// chunkState is what comes next.
type chunkState uint8

const (
	chunkSize chunkState = iota
	chunkData
	chunkEnd
)

var (
	errBodyClosed = errors.New("the answer's body has been closed")
	errMalformed  = errors.New("malformed chunked encoding")
)

// Read implements io.Reader. The last bytes come with io.EOF.
func (b *answerBody) Read(p []byte) (n int, err error) {
	switch {
	case b.x == nil:
		return 0, b.err
	case len(p) == 0:
		return 0, nil
	case !b.chunked:
		n, err = b.readPlain(p)
	case b.foreign == nil:
		n, err = b.readChunks(p)
	}
	if b.foreign != nil && n == 0 && err == nil {
		n, err = b.foreign.Body.Read(p)
		if errors.Is(err, io.EOF) {
			b.resp.Trailer = b.foreign.Trailer
		}
	}
	if err != nil {
		b.finish(err, errors.Is(err, io.EOF))
	}
	return n, err
}

// Ready reports whether the next Read waits for nothing.
func (b *answerBody) Ready() bool { return b.x == nil || !b.chunked && b.x.r < b.x.w }

// Close implements io.Closer. The connection can be used again if the rest has come already.
func (b *answerBody) Close() error {
	if b.x == nil {
		return nil
	}
	x := b.x
	whole := !b.chunked && int64(x.w-x.r) == b.left
	if whole {
		x.r = x.w
	}
	b.finish(errBodyClosed, whole)
	return nil
}

func (b *answerBody) finish(err error, whole bool) {
	x := b.x
	b.x, b.err = nil, err
	x.end(b.keep && whole)
}

// muchMore is how much has to come of a body for more to be looked for before it is passed on: somebody is sending in bulk.
const muchMore = 4 << 10

// readPlain reads a body of known length. Where much comes it takes all that has come, so that it is passed on in fewer pieces.
func (b *answerBody) readPlain(p []byte) (n int, err error) {
	p = p[:min(int64(len(p)), b.left)]
	n, err = b.x.read(p)
	for got := n; err == nil && got >= muchMore && n < len(p); n += got {
		got, err = b.x.conn.readCome(p[n:])
	}
	if b.left -= int64(n); b.left == 0 {
		return n, io.EOF
	}
	return n, unexpected(err)
}

// read takes what has come already, or reads from the connection.
func (x *exchange) read(p []byte) (int, error) {
	if x.r < x.w {
		n := copy(p, x.in[x.r:x.w])
		x.r += n
		return n, nil
	}
	return x.conn.Read(p)
}

// fill reads more into the buffer.
func (x *exchange) fill() error {
	if x.r > 0 {
		x.w = copy(x.in[:], x.in[x.r:x.w])
		x.r = 0
	}
	n, err := x.conn.Read(x.in[x.w:])
	x.w += n
	if n > 0 {
		return nil
	}
	return err
}

// unexpected is an error in the middle of something.
func unexpected(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

// direct is how much a chunk must have left for its bytes not to go through the buffer, which also takes what follows them.
const direct = 4 << 10

// readChunks reads as many chunks as there are, and waits only for the first byte.
func (b *answerBody) readChunks(p []byte) (n int, err error) {
	for {
		waits, err := b.chunk(p, &n)
		switch {
		case err != nil:
			return n, err
		case n == len(p) || waits && n > 0 || b.foreign != nil:
			return n, nil
		case waits:
			if err := b.x.fill(); err != nil {
				return n, unexpected(err)
			}
		}
	}
}

// chunk takes one step. It reports that more has to come first.
func (b *answerBody) chunk(p []byte, n *int) (waits bool, err error) {
	x := b.x
	has := x.in[x.r:x.w]
	switch b.state {
	case chunkSize:
		size, line, v := wire.ChunkSize(has)
		switch {
		case v == wire.Incomplete:
			return true, nil
		case v == wire.Foreign:
			return false, b.leave()
		case size > 0:
			x.r += line
			b.left, b.state = size, chunkData
		case len(has) < line+2 && (len(has) == line || has[line] == '\r'):
			return true, nil
		case has[line] == '\r' && has[line+1] == '\n':
			x.r += line + 2
			return false, io.EOF
		default: // a trailer
			return false, b.leave()
		}
	case chunkData:
		if len(has) == 0 && (*n > 0 || b.left < direct) {
			return true, nil
		}
		m, err := x.read(p[*n:min(int64(len(p)), int64(*n)+b.left)])
		*n += m
		if b.left -= int64(m); b.left == 0 {
			b.state = chunkEnd
		} else if err != nil {
			return false, unexpected(err)
		}
	case chunkEnd:
		switch {
		case len(has) < 2 && (len(has) == 0 || has[0] == '\r'):
			return true, nil
		case has[0] != '\r' || has[1] != '\n':
			return false, errMalformed
		}
		x.r += 2
		b.state = chunkSize
	}
	return false, nil
}

// leave has net/http read the rest of the chunks: there is an extension, a trailer, or something that is wrong.
func (b *answerBody) leave() error {
	const head = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
	rest := io.MultiReader(bytes.NewReader(append([]byte(head), b.x.in[b.x.r:b.x.w]...)), b.x.conn)
	foreign, err := http.ReadResponse(bufio.NewReader(rest), nil) //nolint:bodyclose // it reads from our connection, which we close
	if err != nil {
		return err
	}
	b.foreign, b.keep = foreign, false
	return nil
}
