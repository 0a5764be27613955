// Package prometheus tests what operators load from deploy: a real Prometheus scrapes the real
// binary, many times, while a simulated Shopify fails in a different way for each, and exactly
// the right alerts fire. Every query of the dashboard is asked on the way.
//
// It needs Debian's prometheus and promtool (scripts/install-prometheus). Every port is one that
// the system picks; nothing touches a Prometheus that may be running on the machine.
package prometheus
