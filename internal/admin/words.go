package admin

import "evergate/internal/refresh"

// Sentence says in words what a person should know first. It holds no secret.
func Sentence(st refresh.Status) string { return sentence(st) }
