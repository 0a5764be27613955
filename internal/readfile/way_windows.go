package readfile

// checkWay does nothing: there modes and owners say little.
func checkWay(string) error { return nil }
