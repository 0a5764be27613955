package kubernetes

import "testing"

func acceptsTheDocumentation(t *testing.T, c *cluster) { _ = c }
