package race

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"evergate/test/process"
)

// replica is one of the processes, in all of its lives.
type replica struct {
	r      *race
	number int
	way    *way
	url    string // of Shopify, as it reaches it
	mu     sync.Mutex
	now    *alive
	busy   bool // something is being done to it
	past   []*process.Process
	// still are the times in which it stood still or did not run, and cut those in which it could not reach the store.
	still, cut spans
}

// alive is one life of a replica.
type alive struct {
	*process.Process
	url string

	mu     sync.Mutex
	served map[string]time.Time // by shop: when it first answered with a token
}

func (a *alive) serves(name string, at time.Time) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if _, ok := a.served[name]; !ok {
		a.served[name] = at
	}
}

func (a *alive) servedAt(name string) time.Time {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.served[name]
}

func (r *race) newReplica(n int) *replica {
	p := &replica{r: r, number: n, url: r.wayToShopify(n)}
	if r.Address != "" {
		p.way = newWay(r.t, r.Address)
	}
	return p
}

func (p *replica) start() {
	address := ""
	if p.way != nil {
		address = p.way.address
	}
	c := process.Launch(p.r.t, process.Command(p.r.t, p.r.Binary, slices.Concat([]string{"EVERGATE_STORE=" + p.r.Store(address), "EVERGATE_UPSTREAM_URL=" + p.url}, p.r.Environ(address), p.r.environ), "serve"))
	p.r.t.Cleanup(c.Kill)
	a := &alive{Process: c, url: "http://" + c.AwaitLog(p.r.t, "listening for tools").Address, served: map[string]time.Time{}}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.now, p.past = a, append(p.past, c)
}

// current is what can be called; nil: it is down.
func (p *replica) current() *alive {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.now
}

// take has one thing at a time done to a replica.
func (p *replica) take() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.busy {
		return false
	}
	p.busy = true
	return true
}

func (p *replica) leave() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.busy = false
}

func (p *replica) kill() {
	if !p.take() {
		return
	}
	defer p.leave()
	defer p.still.begin("killed")()
	p.mu.Lock()
	was := p.now
	p.now = nil
	p.mu.Unlock()
	was.Kill()
	p.start()
}

func (p *replica) pause(d time.Duration) {
	if !p.take() {
		return
	}
	defer p.leave()
	defer p.still.begin(paused)()
	process := p.current().Cmd.Process
	_ = process.Signal(syscall.SIGSTOP)
	time.Sleep(d)
	_ = process.Signal(syscall.SIGCONT)
}

func (p *replica) cutOff(d time.Duration) {
	if !p.take() {
		return
	}
	defer p.leave()
	defer p.cut.begin("cut off")()
	p.way.close()
	time.Sleep(d)
	p.way.open()
}

// toldOf is what the replicas have last said of a shop.
func (r *race) toldOf(name string) string {
	var lines []string
	for _, p := range r.replicas {
		for _, text := range p.told() {
			for line := range strings.Lines(text) {
				if strings.Contains(line, name+".") {
					lines = append(lines, fmt.Sprintf("replica %d: %s", p.number, line))
				}
			}
		}
	}
	return strings.Join(lines[max(0, len(lines)-30):], "")
}

func (p *replica) told() (all []string) {
	p.mu.Lock()
	past := slices.Clone(p.past)
	p.mu.Unlock()
	for _, c := range past {
		all = append(all, c.Err.String())
	}
	return all
}
