package upstream

import "time"

// asleep is by how much the wall clock must have run ahead of the monotonic one for the machine to have slept.
const asleep = 5 * time.Second

// instant is a moment by both clocks. The monotonic one stands still while the machine sleeps.
type instant struct {
	wall time.Time
	mono time.Duration
}

var epoch = time.Now()

func now() instant {
	t := time.Now()
	return instant{wall: t.Round(0), mono: t.Sub(epoch)}
}

// noticeSleep closes the connections that wait if the machine has slept since the last request: their
// peers may have forgotten them, and no request, of whatever method, should be the one that finds out.
func (t *Transport) noticeSleep(now instant) {
	var wall, mono time.Duration
	last := t.seen.Load()
	if last != nil {
		wall, mono = now.wall.Sub(last.wall), now.mono-last.mono
	}
	slept := wall-mono >= asleep
	if last != nil && mono < time.Second && !slept {
		return
	}
	kept := now // only this is allocated, once a second at most
	if t.seen.CompareAndSwap(last, &kept) && slept {
		t.giveUp()
	}
}
