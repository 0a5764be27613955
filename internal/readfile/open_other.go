//go:build !unix

package readfile

const withoutWaiting = 0
