package wire

// linesBefore are the field lines of an answer, for the next one: most of those of a server are the same, byte for byte, and in the same place. What was found
// out about a line holds for one that is the same.
type linesBefore struct {
	head    []byte
	at      []fieldSpan
	changed bool // the head that is read now has others
}

// longestBefore is how long a head may be that is remembered.
const longestBefore = 4 << 10

// end is where the line begins that follows a field's.
func (b *linesBefore) end(i int) int {
	if i+1 < len(b.at) {
		return int(b.at[i+1].name.from)
	}
	return len(b.head) - len("\r\n")
}

// next takes the next field line, if the head before had the same one there. It returns nil if not.
func (b *linesBefore) next(l *lines, f *fields) *fieldSpan {
	if f.n >= len(b.at) {
		return nil
	}
	at := &b.at[f.n]
	from, end := int(at.name.from), b.end(f.n)
	if l.next != from || len(l.buf) < end || string(l.buf[from:end]) != string(b.head[from:end]) {
		return nil
	}
	l.next = end
	f.at[f.n] = *at
	f.n++
	return &f.at[f.n-1]
}

// keep remembers a head, if it has another line than the one before, or fewer.
func (b *linesBefore) keep(head []byte, f *fields) {
	switch {
	case len(head) > longestBefore:
		b.forget()
	case b.changed || f.n != len(b.at):
		b.head, b.at = append(b.head[:0], head...), append(b.at[:0], f.at[:f.n]...)
	}
}

// forget is for when something else is found out about the same line.
func (b *linesBefore) forget() { b.head, b.at = b.head[:0], b.at[:0] }
