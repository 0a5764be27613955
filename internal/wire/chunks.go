package wire

// Chunks follows a body in chunks to its end, with extensions and a trailer (RFC 9112, 7.1), without a look at what is in it. Its zero value is at
// the beginning of one. Where anything but CRLF ends a line it is lost, and finds no end.
type Chunks struct {
	state chunkPart
	size  uint64 // of the chunk; then what is left of it
	count int    // of the size's digits, or of the bytes in a line of the trailer
}

type chunkPart uint8

const (
	partSize      chunkPart = iota
	partExtension           // behind the size
	partSizeEnd             // the LF of that line
	partData
	partDataCR
	partDataLF
	partTrailer
	partTrailerEnd // the LF of one of its lines
	partLost
)

// mostSizeDigits is how many hexadecimal digits fit into size.
const mostSizeDigits = 16

// Follow returns how many bytes of b belong to the body, and whether it ends with them.
func (c *Chunks) Follow(b []byte) (n int, end bool) {
	for n < len(b) {
		if c.state == partData {
			skip := min(uint64(len(b)-n), c.size)
			n += int(skip)
			if c.size -= skip; c.size == 0 {
				c.state = partDataCR
			}
			continue
		}
		ch := b[n]
		n++
		switch {
		case c.state == partSize && c.digit(ch):
		case c.state == partSize && c.count > 0 && (ch == ';' || isBlank(ch)):
			c.state = partExtension
		case (c.state == partSize && c.count > 0 || c.state == partExtension) && ch == '\r':
			c.state = partSizeEnd
		case c.state == partExtension && ch != '\n':
		case c.state == partSizeEnd && ch == '\n':
			if c.count, c.state = 0, partData; c.size == 0 {
				c.state = partTrailer
			}
		case c.state == partDataCR && ch == '\r':
			c.state = partDataLF
		case c.state == partDataLF && ch == '\n':
			c.state = partSize
		case c.state == partTrailer && ch == '\r':
			c.state = partTrailerEnd
		case c.state == partTrailer && ch != '\n':
			c.count++
		case c.state == partTrailerEnd && ch == '\n':
			if c.count == 0 {
				return n, true
			}
			c.state, c.count = partTrailer, 0
		default:
			c.state = partLost
			return len(b), false
		}
	}
	return n, false
}

// digit takes a digit of a size.
func (c *Chunks) digit(ch byte) bool {
	switch {
	case c.count == mostSizeDigits:
		return false
	case '0' <= ch && ch <= '9':
		ch -= '0'
	case 'a' <= ch|0x20 && ch|0x20 <= 'f':
		ch = ch | 0x20 - 'a' + 10
	default:
		return false
	}
	if c.count == 0 {
		c.size = 0
	}
	c.count++
	c.size = c.size<<4 | uint64(ch)
	return true
}
