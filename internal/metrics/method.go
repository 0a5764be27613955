package metrics

import "slices"

// methods are the values of the method label; the last stands for all others.
var methods = []string{"GET", "POST", "PUT", "DELETE", "HEAD", "PATCH", "OPTIONS", "other"}

func methodIndex(m string) int {
	if i := slices.Index(methods, m); i >= 0 {
		return i
	}
	return len(methods) - 1
}

// MethodName returns the value of the method label.
func MethodName(m string) string { return methods[methodIndex(m)] }
