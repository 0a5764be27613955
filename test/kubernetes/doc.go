// Package kubernetes holds the promises of the chart: what it renders, what it refuses and
// how, that an API server accepts it at the restricted pod-security level, and that it can
// be upgraded.
//
// Helm renders and installs for real, into an API server with its etcd that the tests start
// on free ports of the loopback; both are built from the module in tools/kubernetes by
// `make deps`. Nothing is faked there but the controllers, of which none runs: what an API
// server accepts is stored, and no pod is ever started. Pods of the chart run in
// test/container, from the golden renders that lie here.
//
// `go test ./test/kubernetes -update` writes the golden renders, the chart's README and its
// copies of the alerts and the dashboard anew.
package kubernetes
