// Package attack holds the promise that a few strangers do not stop the sidecar. Each attack runs against the binary in a
// memory cgroup of the size that the chart gives it, and for as long as it lasts, /livez, /metrics and a caller
// who behaves well are answered.
package attack
