package listen

// Bound is who has which address, so that nobody is told by the system at the start alone. The zero Bound has none.
type Bound struct{ by map[string]string }

// Take returns who has a's place already; empty: nobody has, and now it is who's.
func (b *Bound) Take(a Address, who string) string {
	taken, free := a.Places()
	for _, p := range free {
		if other := b.by[p]; other != "" {
			return other
		}
	}
	if b.by == nil {
		b.by = map[string]string{}
	}
	for _, p := range taken {
		b.by[p] = who
	}
	return ""
}

// TakeList takes the addresses of one list, which is who's, and returns the first that cannot be had, and who has it. localhost leaves
// out what the list names itself, as OpenEvery does.
func (b *Bound) TakeList(list []Address, who string) (_ Address, other string) {
	for _, a := range list {
		each := loopbacksOf(a, list)
		if each == nil {
			each = []Address{a}
		}
		for _, one := range each {
			if other = b.Take(one, who); other != "" {
				return a, other
			}
		}
	}
	return Address{}, ""
}
