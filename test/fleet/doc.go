// Package fleet runs the real binary with many shops in one process.
package fleet
