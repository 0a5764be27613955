// Package container holds the promises of the image: what is in it, as whom it runs, how it stops, and that an
// app in the same pod needs no token.
//
// Nothing here is simulated but Shopify: the tests build the image from the Dockerfile with podman and run it. They
// need no network and no registry. The image that compiles is assembled from the machine's own Go installation,
// modules come from its module cache, and everything podman stores lies in directories of the tests' own
// (evergate-container-test in the user's cache directory, evergate-container-UID in /tmp), away from the user's
// images. Both may be deleted while no test runs (without root: podman unshare rm -rf); the next run is then slower.
//
// No port of the machine is used: containers talk to each other on the loopback of their pod.
package container
