// Package install holds the promises of what installs a release where there is no Go: the script install.sh, the
// manifests for package managers, and the layout of the apt repository.
//
// A release is served by an HTTP server on the loopback, laid out as goreleaser lays it out. By default it is made here,
// of the binary of this source; EVERGATE_DIST names a folder that goreleaser has made, and CI runs the tests with that,
// too, because to build goreleaser takes minutes.
package install
