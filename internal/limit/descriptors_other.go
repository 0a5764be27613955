//go:build !unix

package limit

func descriptors() uint64 { return 0 }
