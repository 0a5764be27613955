package pace

import (
	"compress/gzip"
	"compress/zlib"
	"errors"
	"io"
	"strings"
	"sync"
)

// coding is a content coding. Its readers are pooled, because their tables are large: 40 KiB
// for gzip.
type coding struct {
	open func(io.Reader) (resetter, error)
	pool sync.Pool
}

// decoders are the codings that can be read.
type decoders struct{ gzip, deflate, brotli, zstd coding }

func newDecoders() *decoders {
	return &decoders{
		gzip:    coding{open: func(r io.Reader) (resetter, error) { return gzip.NewReader(r) }},
		deflate: coding{open: openZlib},
		brotli:  coding{open: openBrotli},
		zstd:    coding{open: openZstd},
	}
}

// resetter is a decompressing reader that can be used again.
type resetter interface {
	io.Reader
	Reset(io.Reader) error
}

// named returns the coding with a name, in lower case; nil: nobody here can read it.
func (by *decoders) named(name string) *coding {
	switch name {
	case "gzip", "x-gzip":
		return &by.gzip
	case "deflate":
		return &by.deflate
	case "br":
		return &by.brotli
	case "zstd":
		return &by.zstd
	}
	return nil
}

func openZlib(r io.Reader) (resetter, error) {
	z, err := zlib.NewReader(r)
	if err != nil {
		return nil, err
	}
	return zlibReader{z}, nil
}

// zlibReader gives zlib's Reset the signature that the others have.
type zlibReader struct{ io.Reader }

func (z zlibReader) Reset(r io.Reader) error { return z.Reader.(zlib.Resetter).Reset(r, nil) }

func (c *coding) reader(src io.Reader) (resetter, error) {
	if r, ok := c.pool.Get().(resetter); ok {
		return r, r.Reset(src)
	}
	return c.open(src)
}

// mostCodings is how many codings one upon another are undone. Nobody has use for more than one.
const mostCodings = 3

// codings are those of one body, in the order in which they were applied.
type codings struct {
	stages [mostCodings]*coding
	count  int
}

// parse reads a Content-Encoding in lower case. It reports false if one of the codings is
// unknown, or if there are too many.
func (by *decoders) parse(encoding string) (c codings, known bool) {
	if encoding == "" {
		return codings{}, true // of nearly every answer
	}
	for name := range strings.SplitSeq(encoding, ",") {
		if name = strings.Trim(name, " \t"); name == "" || name == "identity" {
			continue
		}
		stage := by.named(name)
		if stage == nil || c.count == mostCodings {
			return codings{}, false
		}
		c.stages[c.count] = stage
		c.count++
	}
	return c, true
}

// chain undoes the codings of one body, the last first.
type chain struct {
	codings
	readers [mostCodings]resetter
	between [mostCodings - 1]metered
}

// open returns what reads the plain text of src. What the stages before the last make is counted in
// made as well. close must follow, also after an error.
func (c *chain) open(of codings, src io.Reader, made *int) (io.Reader, error) {
	c.codings = of
	for i := of.count - 1; i >= 0; i-- {
		r, err := of.stages[i].reader(src)
		if err != nil {
			return nil, err
		}
		c.readers[i], src = r, r
		if i > 0 {
			c.between[i-1] = metered{r, made}
			src = &c.between[i-1]
		}
	}
	return src, nil
}

// close hands the readers on.
func (c *chain) close() {
	for i, r := range c.readers {
		if r != nil {
			c.stages[i].pool.Put(r)
		}
	}
	*c = chain{}
}

// metered counts what a stage makes for the next, which may make nothing of it and ask for more.
type metered struct {
	resetter
	made *int
}

var errTooMuch = errors.New("too much has been made of this body")

// Read implements io.Reader.
func (m *metered) Read(p []byte) (int, error) {
	if *m.made >= largestPlain {
		return 0, errTooMuch
	}
	n, err := m.resetter.Read(p)
	*m.made += n
	return n, err
}
