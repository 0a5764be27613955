//go:build unix && !linux

package reload

// isReadOnly is for containers, which are Linux.
func isReadOnly(string) bool { return false }
