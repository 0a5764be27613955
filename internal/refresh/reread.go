package refresh

// Reread has Run look at once at what it looks at every few seconds, such as a file with the token, and ends
// the waiting after a refusal: somebody says that its cause has been mended. A token that is fresh stays.
func (s *Source) Reread() {
	s.before.Store(nil)
	s.liftBackOff()
	s.mu.Lock()
	s.health.nextPoll = s.now()
	s.mu.Unlock()
	s.wake()
}
