package refresh

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"evergate/internal/remedy"
	"evergate/internal/token"
)

// This file is what is known of a chain beyond the record at hand: whether what a store holds was there before, whether
// its refresh token may be used yet, and whether somebody else uses it too. docs/adr/0024-one-chain-many-replicas.md says why.

// earlierEpochs bounds how many chains of a shop are remembered that another one has followed.
const earlierEpochs = 8

// isOlder reports whether stored was there before known: then the store was rolled back, by a failover that lost writes that
// were acknowledged, or by a backup. No two processes may think so of each other's records, or they would write them back in
// turns: so the same pair is never older, whatever is noted beside it, and between two epochs of which each
// has been seen to follow the other, the one whose pair was issued later is the newer.
func (p *persister) isOlder(stored, known token.Record) bool {
	if p.without&withoutMemory != 0 || stored.Current.Refresh.Equal(known.Current.Refresh) {
		return false
	}
	epoch := epochOf(stored)
	if epoch == epochOf(known) {
		return stored.Generation < known.Generation
	}
	isReplaced := stored.Epoch == "" && known.Previous != nil && stored.Current.Refresh.Equal(known.Previous.Refresh)
	return isReplaced || slices.Contains(p.earlier, epoch) && !madeAt(stored).After(madeAt(known))
}

// madeAt is when a pair was issued, whenever it was written; of a refresh token that a person brought it is when that was written.
func madeAt(r token.Record) time.Time {
	if r.Current.Token.Issued.IsZero() {
		return r.Written
	}
	return r.Current.Token.Issued
}

// epochOf is a record's epoch. A chain that an earlier Evergate wrote has none; it gets a name that every process gives it.
func epochOf(r token.Record) string {
	if r.Epoch == "" && !r.Current.Refresh.Empty() {
		return fingerprintOf(r.Current.Refresh)
	}
	return r.Epoch
}

// know makes a record the newest that is known.
func (p *persister) know(record token.Record) {
	was, now := epochOf(p.record), epochOf(record)
	if was != now && was != "" {
		p.earlier = append(slices.DeleteFunc(p.earlier, func(e string) bool { return e == was || e == now }), was)
		p.earlier = p.earlier[max(0, len(p.earlier)-earlierEpochs):]
	}
	p.record = record
}

// rolledBackError says that the store has lost what we know, and holds the older or nothing.
type rolledBackError struct {
	stored, known token.Record
	nothing       bool
}

func (e *rolledBackError) Error() string {
	was := "nothing any more"
	if !e.nothing {
		was = fmt.Sprintf("generation %d of the grant, by %s", e.stored.Generation, nameOf(e.stored.Writer))
	}
	return fmt.Sprintf("the store was rolled back: it holds %s, and generation %d, by %s, is known here and is written back", was, e.known.Generation, nameOf(e.known.Writer))
}

func nameOf(writer string) string {
	if writer == "" {
		return "an earlier Evergate"
	}
	return writer
}

// takeBack keeps what we know, to be written back over what is stored.
func (p *persister) takeBack(stored token.Record, handle token.Handle, nothing bool) {
	why := &rolledBackError{stored, p.record, nothing}
	p.handle, p.base = handle, stored.Current.Refresh
	p.unsaved, p.nextWrite = why, time.Now()
	p.raise(rolledBack, &remedy.Error{Err: why, Remedy: "see whether the store failed over without its last writes, or a backup of it was restored; what no sidecar remembers needs a login"})
}

// alarm is something that a person should look into although Evergate goes on.
type alarm struct {
	err error // nil: none
	at  time.Time
}

// alarmLasts is how long an alarm is shown after what it is about has passed.
const alarmLasts = time.Hour

// alarmReason is what an alarm is about.
type alarmReason int

const (
	spentElsewhere alarmReason = iota // another writer spent our refresh token, while we alone had the right to
	noneHonoured                      // the app was uninstalled, or somebody else has the chain, with a store of their own
	rolledBack                        // the store holds what was replaced, or nothing any more
	alarmReasons
)

// Alarms are the reasons of alarms.
func Alarms() []string { return []string{"spent_elsewhere", "none_honoured", "rolled_back"} }

// alarmCounts says how often there was each.
type alarmCounts [alarmReasons]int

// tellAlarms tells the Observer of the alarms that have been raised since, in a flight.
func (s *Source) tellAlarms() {
	now := s.obtainer.status().alarms
	if s.opt.Observer != nil && now != s.told {
		for reason, name := range Alarms() {
			for ; s.told[reason] < now[reason]; s.told[reason]++ {
				s.opt.Observer.Alarmed(name)
			}
		}
	}
}

// raise says an alarm once, counts it, and shows it for a while.
func (p *persister) raise(reason alarmReason, err error) {
	p.alarms[reason]++
	if p.alarm.err == nil || p.alarm.err.Error() != err.Error() {
		p.log.Error("something is wrong with the chain of refresh tokens", "shop", p.shop.Domain(), "err", err)
	}
	p.alarm = alarm{err, time.Now()}
	p.show()
}

// unconfirmed is for how long the newest refresh token must not be used yet. Its use retires the one before, which is what
// a store would hold that fails over and has lost the newest.
func (p *persister) unconfirmed() time.Duration {
	if p.expiring == nil || p.record.Current.Refresh.Empty() {
		return 0
	}
	t := p.record.Current.Token
	if t.Access.Empty() {
		return 0 // it was put there by itself: no refresh token before it is retired, and nobody can call until it is used
	}
	written := t.Issued
	if p.record.Written.After(written) {
		written = p.record.Written
	}
	age := time.Since(written.Round(0))
	if age < -clockTolerance {
		return 0 // by a clock that is wrong: nobody knows
	}
	return confirmation(t.Life) - age
}

// restingError says that a refresh token must not be used yet.
type restingError struct{ rest time.Duration }

func (e *restingError) Error() string {
	return fmt.Sprintf("the pair of tokens was written moments ago and is not replaced for another %s, in case the store fails over and loses it", e.rest.Round(100*time.Millisecond))
}

// Wait is for how long not.
func (e *restingError) Wait() time.Duration { return e.rest }

func (e *restingError) Unwrap() error { return token.ErrTransient }

func isResting(err error) bool {
	_, resting := errors.AsType[*restingError](err)
	return resting
}
