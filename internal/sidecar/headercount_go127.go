//go:build go1.27

package sidecar

import "net/http"

// limitHeader bounds how many values a header may have. Go 1.27 brought a limit of 500; a header
// of tools' may have more as long as it is within largestHeader.
func limitHeader(s *http.Server) { s.MaxHeaderValueCount = mostHeaderValues }
