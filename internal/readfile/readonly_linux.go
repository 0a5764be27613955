package readfile

import "syscall"

// stReadOnly is ST_RDONLY of statvfs(3), which also tells of a mount that is read-only here alone.
const stReadOnly = 1

// isReadOnly reports whether nobody can write through this mount.
func isReadOnly(dir string) bool {
	var fs syscall.Statfs_t
	return syscall.Statfs(dir, &fs) == nil && int64(fs.Flags)&stReadOnly != 0 //nolint:unconvert // its type differs between architectures
}
