package socket

// Husher is a connection of which Read can be kept from asking the kernel: while it is hushed, a read fails with os.ErrDeadlineExceeded, whether or not
// something has come. So a layer of TLS upon it says what it has read ahead, and does not wait. Wrap returns one for a connection of TCP on Linux.
type Husher interface {
	// Hush is for whoever reads.
	Hush(on bool)
}
