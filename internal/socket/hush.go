package socket

// Husher is a connection of which Read can be kept from asking the kernel: while it is hushed, a read fails with os.ErrDeadlineExceeded, whether or not
// something has come. So a layer of TLS upon it says what it has read ahead, and does not wait. Wrap returns one for a connection of TCP on Linux.
type Husher interface {
	// Hush is for whoever reads.
	Hush(on bool)
}

// Brief is a connection of which Read can be kept from waiting: while it is brief, a read of which nothing has come fails with os.ErrDeadlineExceeded. So a
// layer of TLS upon it gives what has come, and keeps a part of a record for later. Wrap returns one for a connection of TCP on Linux.
type Brief interface {
	// Brief is for whoever reads.
	Brief(on bool)
}
