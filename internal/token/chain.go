package token

import (
	"crypto/rand"
	"os"
	"strconv"
	"sync"
	"time"
)

// Begin returns r as the beginning of a chain that this process writes now: every authorisation begins one, be it a login, an
// import, a migration or an exchange.
func Begin(r Record) Record {
	r.Epoch, r.Generation = rand.Text(), 1
	r.Writer, r.Written = ThisProcess(), time.Now().Round(0)
	return r
}

// ThisProcess names this process as a Writer: its host, which is a pod's name in Kubernetes, and its number there.
var ThisProcess = sync.OnceValue(func() string {
	host, err := os.Hostname()
	if err != nil {
		host = "unknown"
	}
	return host + "/" + strconv.Itoa(os.Getpid())
})
