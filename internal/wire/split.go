package wire

import (
	"slices"
	"strings"
)

// Use is what becomes of a field of an answer.
type Use uint8

// The uses.
const (
	Passed  Use = iota // as it is, to whom the answer is for
	Read               // by a rule, which finds it in the header, and says what becomes of it
	Shown              // to a rule, which finds it in the header, and passed as it is
	Dropped            // it ends here
)

func (u Use) passes() bool { return u == Passed || u == Shown }
func (u Use) isRead() bool { return u == Read || u == Shown }

// Sort says what becomes of fields. It is used by many goroutines at once.
type Sort struct {
	// Of says it of those with a name, which is written as net/http does, and returns the name if a rule finds it in the header. It says the same of a name each
	// time.
	Of func(name []byte) (known string, use Use)
}

// Sorted is what Split makes of an answer: what is Read or Shown, and the lines of what is Passed or Shown, each with its end, in their order. Its zero value is
// ready.
type Sorted struct {
	Header map[string][]string
	Passed []byte
	values []string // of the header
}

// Again empties it for another answer. The strings that it had stay as they are; the map, its lists and the lines do not.
func (s *Sorted) Again() {
	clear(s.Header)
	clear(s.values)
	s.values, s.Passed = s.values[:0], s.Passed[:0]
}

// Split is Fill for who looks at few fields. It adds them to what is empty. Connection and Transfer-Encoding are Dropped. It reports false, and does nothing,
// if Connection names fields: who passes an answer on has to look at all their names.
func (r *Response) Split(into *Sorted, sort *Sort) bool {
	if r.names {
		return false
	}
	n := r.part(into, sort)
	into.values = slices.Grow(into.values, n)[:n] // no list in the header is moved
	head, f := r.buf[:r.size], &r.fields
	for i, name := range r.known[:n] {
		into.values[i] = r.text(f.at[i].value.of(head), r.seen.at(f.at[i].seen))
		if before := into.Header[name]; before != nil {
			into.Header[name] = append(before, into.values[i])
			continue
		}
		into.Header[name] = into.values[i : i+1 : i+1]
	}
	f.n = 0
	return true
}

// part appends the lines of what passes. What is read are the first n fields then, by the names that are known of it.
func (r *Response) part(into *Sorted, sort *Sort) (n int) {
	learns := r.seen.forgets(sort)
	if learns {
		r.before.forget()
	}
	f, head, lines := &r.fields, r.buf[:r.size], into.Passed
	var whole span // lines that are passed on as they came, and are not among the others yet
	for i := range f.n {
		at := f.at[i]
		var known string
		var use Use
		if s := r.seen.at(at.seen); s != nil && !learns {
			if known, use = s.known, s.use; use.passes() {
				if s.verbatim && at.value.from == at.name.to+2 && head[at.name.to+1] == ' ' && head[at.value.to] == '\r' {
					if whole.to != at.name.from {
						lines = append(lines, whole.of(head)...)
						whole.from = at.name.from
					}
					whole.to = at.value.to + 2
					if use == Shown {
						f.at[n], r.known[n] = at, known
						n++
					}
					continue
				}
				lines = append(append(lines, whole.of(head)...), s.begins...)
				whole = span{}
			}
		} else {
			lines = append(lines, whole.of(head)...)
			whole = span{}
			name, raw := at.name.of(head), ""
			at.seen = 0
			if learns {
				raw = string(name)
			}
			canonicalize(name)
			if known, use = "", Dropped; string(name) != "Connection" && string(name) != "Transfer-Encoding" {
				known, use = sort.Of(name)
			}
			begin := len(lines)
			if use.passes() {
				lines = append(append(lines, name...), ": "...)
			}
			if learns {
				r.seen.learn(raw, string(lines[begin:]), known, use)
			} else {
				r.seen.misses++
			}
		}
		if use.passes() {
			lines = append(append(lines, at.value.of(head)...), "\r\n"...)
		}
		if use.isRead() {
			f.at[n], r.known[n] = at, known
			n++
		}
	}
	lines = append(lines, whole.of(head)...)
	into.Passed = lines
	return n
}

const (
	// longestText is how long a value may be that is remembered, or shares its memory.
	longestText = 128
	// sharedText is how much memory values share: who keeps one of them keeps as much.
	sharedText = 512
)

// text returns what a field says as a string that is never changed. Much is what the field of that name has said before, if it is one that was seen, and the rest
// shares memory with what other answers say, so that an answer mostly needs none of its own.
func (r *Response) text(value []byte, of *seenName) string {
	switch {
	case len(value) > longestText:
		return string(value)
	case of != nil && of.last == string(value):
		return of.last
	}
	if r.texts.Cap()-r.texts.Len() < len(value) {
		r.texts.Reset()
		r.texts.Grow(sharedText)
	}
	from := r.texts.Len()
	r.texts.Write(value)
	text := r.texts.String()[from:]
	if of != nil {
		of.last = text
	}
	return text
}

// seenNames are the fields of an answer, in their order: those of the next ones mostly have the same names, and what was found out about a name holds for
// all that are written like it.
type seenNames struct {
	all    []seenName
	by     *Sort // who has sorted them
	misses int   // how many fields there were since that were none of them
	next   int   // which is expected next
}

type seenName struct {
	raw      string // as it came
	begins   string // the line of a field that passes
	known    string
	use      Use
	verbatim bool   // it came as begins has it
	noted    bool   // it may say something of the message itself
	last     string // what the last one said that was read
}

const (
	// mostMisses is how many fields that were not expected are looked at one by one until what is expected is learnt anew.
	mostMisses = 256
	// longestSeen is how long a name may be in bytes that is remembered.
	longestSeen = 64
	// ahead is how many of the expected names may be missing in a row.
	ahead = 3
)

// forgets reports whether the names of this answer are to be learnt.
func (s *seenNames) forgets(by *Sort) bool {
	if s.by == by && s.misses < mostMisses {
		return false
	}
	clear(s.all)
	s.all, s.by, s.misses = s.all[:0], by, 0
	return true
}

func (s *seenNames) learn(raw, begins, known string, use Use) {
	if len(raw) <= longestSeen {
		name, colon := strings.CutSuffix(begins, ": ")
		s.all = append(s.all, seenName{
			raw: raw, begins: begins, known: known, use: use, verbatim: colon && name == raw, noted: isNoted(raw),
		})
	}
}

// at returns one of them, counted from 1; nil: none.
func (s *seenNames) at(n uint8) *seenName {
	if n == 0 || int(n) > len(s.all) {
		return nil
	}
	return &s.all[n-1]
}

// expectAfter has those looked for next that follow the nth, counted from 1; 0: none of them was there.
func (s *seenNames) expectAfter(n uint8) {
	if n != 0 {
		s.next = int(n)
	}
}

// find looks for the name of a line among those that are expected next. It returns where the colon is, and which name it is, counted from 1; 0: none.
func (s *seenNames) find(line []byte) (colon int, n uint8) {
	if s == nil {
		return 0, 0
	}
	for i := s.next; i < min(s.next+ahead, len(s.all)); i++ {
		if raw := s.all[i].raw; len(line) > len(raw) && line[len(raw)] == ':' && string(line[:len(raw)]) == raw {
			s.next = i + 1
			return len(raw), uint8(i + 1)
		}
	}
	return 0, 0
}
