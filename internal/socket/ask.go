package socket

// MostAsked is how long a question may be, in bytes.
const MostAsked = 20 << 10

// Asker is a connection on which a question goes out in the moment in which its answer is waited for. Whoever writes first and then reads finds nothing
// there, as a rule, and has asked the kernel for that. Wrap returns one for a connection of TCP on Linux. It is for one who reads and writes in turn.
type Asker interface {
	// Ask has what is written from now on kept for the next Read, which looks first whether something has come unasked; then it fails, and
	// nothing is sent.
	Ask()
	// Asked ends that, after that Read. It reports whether any of the question has gone out, and why not all of it: a peer may answer what it has
	// not read, so that Read returns an answer all the same.
	Asked() (sent bool, err error)
}
