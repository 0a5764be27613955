//go:build !unix || nethttp

package upstream

import "evergate/internal/socket"

// canTell says that nobody knows here whether a connection has ended, so that net/http, which reads ahead, carries all requests. The
// tag nethttp has it do so everywhere, for tests.
const canTell = false

type probe struct{ asker socket.Asker }

func (*probe) follow(*conn) {}
func (*probe) quiet() error { return nil }
