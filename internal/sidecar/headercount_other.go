//go:build !go1.27

package sidecar

import "net/http"

// limitHeader does nothing: net/http counts bytes alone before Go 1.27.
func limitHeader(*http.Server) {}
