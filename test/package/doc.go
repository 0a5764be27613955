// Package pkg holds the promises of the Debian and RPM packages: what is in them, that they
// install, upgrade and go without a trace, and that the service works as its manual says.
//
// Nothing is simulated but Shopify. The packages are built as a release builds them, and the
// Debian one is installed with dpkg on a machine that is made of this one: namespaces of its
// own, this machine's files under a layer that is thrown away, and a real systemd as its
// first process. Nothing of this machine is changed, no port of it is used. That takes root
// and systemd; without them the tests are skipped, or fail where CI or
// TEST_COMPONENTS=required says that everything has to be there.
package pkg
