//go:build nethttp

package front

const enabled = false
