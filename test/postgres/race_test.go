package postgres

import (
	"net/url"
	"testing"

	"evergate/test/pgserver"
	"evergate/test/race"
)

// TestTheRace has five replicas share two hundred chains in one server, which is killed now and then.
func TestTheRace(t *testing.T) {
	if testing.Short() {
		t.Skip("it takes a minute")
	}
	database(t) // skips where there is no server
	server, err := pgserver.Start()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(server.Stop)
	_, tcp := server.Database(t)
	u, err := url.Parse(tcp)
	if err != nil {
		t.Fatal(err)
	}
	race.Run(t, race.Options{
		Binary: binary(t), Address: u.Host,
		LeastOwed: 0.3, // its server takes seconds to recover on a machine that is busy
		Store: func(address string) string {
			v := *u
			v.Host = address
			return v.String()
		},
		Disturb: func() {
			server.Kill()
			if err := server.Run(); err != nil {
				t.Error(err)
			}
		},
	})
}
