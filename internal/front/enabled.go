//go:build !nethttp

package front

// enabled says that ordinary requests are served here. The tag nethttp gives all to net/http, for tests.
const enabled = true
