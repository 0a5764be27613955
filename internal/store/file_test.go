package store

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"evergate/internal/durable"
	"evergate/internal/envelope"
	"evergate/internal/store/storetest"
	"evergate/internal/token"
)

// leaked is what no error may contain.
const leaked = "shpat_hunter2"

// filled returns a store with one record, its file and the file's content.
func filled(t *testing.T, keys envelope.Keys) (s *FileStore, handle token.Handle, content []byte) {
	t.Helper()
	s = open(t, t.TempDir()+"/store", keys)
	handle, err := s.Swap(t.Context(), "", storetest.Named(leaked))
	if err != nil {
		t.Fatal(err)
	}
	return s, handle, read(t, s.path(".json"))
}

func read(t *testing.T, path string) []byte {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func write(t *testing.T, path string, b []byte) {
	t.Helper()
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
}

func rename(t *testing.T, from, to string) {
	t.Helper()
	if err := os.Rename(from, to); err != nil {
		t.Fatal(err)
	}
}

// names returns what lies in the store's directory.
func names(t *testing.T, s *FileStore) (all []string) {
	t.Helper()
	entries, err := os.ReadDir(s.dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		all = append(all, e.Name())
	}
	return all
}

// says fails the test unless err has every part and no secret.
func says(t *testing.T, err error, parts ...string) {
	t.Helper()
	if err == nil {
		t.Error("no error")
		return
	}
	for _, part := range parts {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("%q does not say %q", err, part)
		}
	}
	if strings.Contains(err.Error(), leaked) || strings.Contains(err.Error(), "\n") {
		t.Errorf("%q contains a secret or has more than one line", err)
	}
}

func TestWhatCannotBeReadIsLeftAlone(t *testing.T) {
	t.Parallel()
	k := envelope.Keys{Current: key("k")}
	for name, tc := range map[string]struct {
		written, opened envelope.Keys
		change          func(content []byte) []byte
		hint            string
	}{
		"cut_short":        {change: func(b []byte) []byte { return b[:len(b)/2] }, hint: "move it away"},
		"empty":            {change: func([]byte) []byte { return nil }, hint: "move it away"},
		"zeros":            {change: func(b []byte) []byte { return make([]byte, len(b)) }, hint: "move it away"},
		"too_large":        {change: func(b []byte) []byte { return append(b, bytes.Repeat([]byte(" "), envelope.MaxSize)...) }, hint: "move it away"},
		"newer":            {change: func(b []byte) []byte { return bytes.Replace(b, []byte(`"evergate":1`), []byte(`"evergate":2`), 1) }, hint: "upgrade"},
		"of_another_shop":  {change: func(b []byte) []byte { return bytes.Replace(b, []byte("acme."), []byte("acne."), 1) }, hint: "another shop"},
		"sealed_cut_short": {written: k, opened: k, change: func(b []byte) []byte { return b[:len(b)/2] }, hint: "move it away"},
		"wrong_key":        {written: k, opened: envelope.Keys{Current: key("j"), Previous: key("i")}, hint: "neither EVERGATE_STORE_KEY nor EVERGATE_STORE_KEY_PREVIOUS"},
		"no_key":           {written: k, hint: "neither EVERGATE_STORE_KEY nor EVERGATE_STORE_KEY_PREVIOUS"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			first, before, content := filled(t, tc.written)
			path := first.path(".json")
			if tc.change != nil {
				content = tc.change(bytes.Clone(content))
				write(t, path, content)
			}
			s := open(t, first.dir, tc.opened) // the listeners open even so
			_, handle, err := s.Load(t.Context())
			says(t, err, path, tc.hint)
			if !errors.Is(err, envelope.ErrUnreadable) || handle != "" {
				t.Errorf("load: %q, %v, want envelope.ErrUnreadable", handle, err)
			}
			for _, old := range []token.Handle{"", before, envelope.HandleOf(content)} {
				_, err := s.Swap(t.Context(), old, storetest.Named("b"))
				says(t, err, path, tc.hint)
				if !errors.Is(err, envelope.ErrUnreadable) || errors.Is(err, token.ErrConflict) {
					t.Errorf("swap from %q: %v, want envelope.ErrUnreadable", old, err)
				}
			}
			if after := read(t, path); !bytes.Equal(after, content) {
				t.Error("the file has changed")
			}
		})
	}
}

func TestWhatIsNoFileIsRefused(t *testing.T) {
	t.Parallel()
	s := open(t, t.TempDir()+"/store", envelope.Keys{})
	if err := os.MkdirAll(s.path(".json"), 0o700); err != nil {
		t.Fatal(err)
	}
	_, _, err := s.Load(t.Context())
	says(t, err, s.path(".json"), "is a directory", "move it away")
	_, err = s.Swap(t.Context(), "", storetest.Named(leaked))
	says(t, err, s.path(".json"), "is a directory")
	if !errors.Is(err, envelope.ErrUnreadable) {
		t.Errorf("swap: %v, want envelope.ErrUnreadable", err)
	}
}

// A directory that is gone is not an empty one: to take the grant for missing would send
// a person to the login, and to make the directory anew would hide that a disk is not mounted.
func TestLostDirectoryIsNotAnEmptyOne(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"gone", "replaced_by_a_file"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, handle, content := filled(t, envelope.Keys{})
			away := s.dir + ".away"
			rename(t, s.dir, away)
			if name != "gone" {
				write(t, s.dir, nil)
			}
			_, _, err := s.Load(t.Context())
			says(t, err, s.dir)
			if errors.Is(err, token.ErrNotFound) {
				t.Errorf("load: %v", err)
			}
			_, err = s.Changed(t.Context(), handle)
			says(t, err, s.dir)
			_, err = s.Swap(t.Context(), handle, storetest.Named("b"))
			says(t, err, s.dir)
			_, err = s.Lease(t.Context())
			says(t, err, s.dir)

			_ = os.Remove(s.dir)
			rename(t, away, s.dir)
			if got := read(t, s.path(".json")); !bytes.Equal(got, content) {
				t.Error("the record has changed")
			}
			if _, err := s.Swap(t.Context(), handle, storetest.Named("b")); err != nil {
				t.Errorf("after the directory came back: %v", err)
			}
		})
	}
}

func TestLeftoversAreRemovedAtOpen(t *testing.T) {
	t.Parallel()
	s, _, _ := filled(t, envelope.Keys{})
	ours, others := ".acme.myshopify.com.123.tmp", []string{".other.myshopify.com.1.tmp", "acme.myshopify.com.tmp", ".acme.myshopify.com.json", "x.tmp"}
	for _, name := range append(others, ours) {
		write(t, filepath.Join(s.dir, name), []byte("half"))
	}
	directory := ".acme.myshopify.com.dir.tmp"
	if err := os.Mkdir(filepath.Join(s.dir, directory), 0o700); err != nil {
		t.Fatal(err)
	}

	unlock, err := s.lock(t.Context(), ".lock") // somebody is writing: it may be theirs
	if err != nil {
		t.Fatal(err)
	}
	open(t, s.dir, envelope.Keys{})
	if !slices.Contains(names(t, s), ours) {
		t.Error("a file in use was removed")
	}
	unlock()

	open(t, s.dir, envelope.Keys{})
	left := names(t, s)
	if slices.Contains(left, ours) {
		t.Error("what a crash left is still there")
	}
	for _, name := range append(others, directory, "acme.myshopify.com.json", "acme.myshopify.com.lock") {
		if !slices.Contains(left, name) {
			t.Errorf("%s was removed", name)
		}
	}
}

// What Swap reports as done has its name on the disk.
func TestRenameIsMadeDurable(t *testing.T) {
	t.Parallel()
	s, handle, before := filled(t, envelope.Keys{})
	synced := 0
	s.syncDir = func(dir string) error {
		if dir != s.dir || bytes.Equal(read(t, s.path(".json")), before) {
			t.Errorf("%s is synced before the rename", dir)
		}
		synced++
		return nil
	}
	if _, err := s.Swap(t.Context(), handle, storetest.Named("b")); err != nil || synced != 1 {
		t.Errorf("%v, synced %d times", err, synced)
	}
}

// A rename that took effect but may not be durable is an error, and the writer tries again
// from the handle that it has. That is not a conflict, unless somebody else wrote meanwhile.
func TestWriteInDoubtCanBeRepeated(t *testing.T) {
	t.Parallel()
	s, handle, _ := filled(t, envelope.Keys{})
	failure := errors.New("no sync")
	s.syncDir = func(string) error { return failure }
	for _, name := range []string{"b", "c"} {
		_, err := s.Swap(t.Context(), handle, storetest.Named(name))
		says(t, err, "cannot be written", s.dir)
		if !errors.Is(err, failure) {
			t.Errorf("%s: %v", name, err)
		}
	}
	other := open(t, s.dir, envelope.Keys{})
	if _, err := other.Swap(t.Context(), handle, storetest.Named("x")); !errors.Is(err, token.ErrConflict) {
		t.Errorf("somebody else from the same handle: %v, want token.ErrConflict", err)
	}
	s.syncDir = durable.SyncDir
	handle, err := s.Swap(t.Context(), handle, storetest.Named("d"))
	if err != nil {
		t.Fatalf("the repetition: %v", err)
	}

	s.syncDir = func(string) error { return failure }
	if _, err := s.Swap(t.Context(), handle, storetest.Named("e")); !errors.Is(err, failure) {
		t.Fatal(err)
	}
	r, seen, err := other.Load(t.Context())
	if err != nil || storetest.NameOf(r) != "e" {
		t.Fatal(err)
	}
	if _, err := other.Swap(t.Context(), seen, storetest.Named("f")); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Swap(t.Context(), handle, storetest.Named("g")); !errors.Is(err, token.ErrConflict) {
		t.Errorf("after somebody else wrote: %v, want token.ErrConflict", err)
	}
}

// age sets the modification time of the record's file.
func age(t *testing.T, s *FileStore, at time.Time) {
	t.Helper()
	if err := os.Chtimes(s.path(".json"), at, at); err != nil {
		t.Fatal(err)
	}
}

// recalled reports whether a stat is all that Changed will need.
func recalled(t *testing.T, s *FileStore) bool {
	t.Helper()
	info, err := os.Lstat(s.path(".json"))
	if err != nil {
		t.Fatal(err)
	}
	_, ok := s.recall(info)
	return ok
}

func TestChangedTrustsAStatOnlyOfASettledFile(t *testing.T) {
	t.Parallel()
	s, handle, content := filled(t, envelope.Keys{})
	is := func(from token.Handle, want bool) {
		t.Helper()
		if got, err := s.Changed(t.Context(), from); got != want || err != nil {
			t.Errorf("changed: %t, %v, want %t", got, err, want)
		}
	}
	for _, young := range []time.Time{time.Now(), time.Now().Add(time.Hour)} { // or the clock went back
		age(t, s, young)
		is(handle, false)
		if recalled(t, s) {
			t.Errorf("a file changed at %v is trusted", young)
		}
	}
	old := time.Now().Add(-time.Hour)
	age(t, s, old)
	is(handle, false)
	if !recalled(t, s) {
		t.Error("a settled file is read again")
	}
	is(handle, false)
	is("", true)

	// Another file of the same size and the same time.
	next, err := open(t, s.dir, envelope.Keys{}).Swap(t.Context(), handle, storetest.Named(leaked))
	if err != nil {
		t.Fatal(err)
	}
	age(t, s, old)
	is(handle, true)
	is(next, false)

	// A backup that is copied over the file.
	write(t, s.path(".json"), content)
	is(next, true)
	is(handle, false)

	if err := os.Remove(s.path(".json")); err != nil {
		t.Fatal(err)
	}
	is(handle, true)
	is("", false)
}

func TestAPlainRecordIsEncryptedWhenThereIsAKeyAndThenRefused(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "store")
	open := func(keys envelope.Keys) *FileStore {
		t.Helper()
		s, err := OpenDir(dir, storetest.Shop(), keys)
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	want := storetest.Named("in-the-open")
	if _, err := open(envelope.Keys{}).Swap(t.Context(), "", want); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, storetest.Shop().Domain()+".json")
	plain, err := os.ReadFile(path)
	if err != nil || !envelope.IsPlain(plain) {
		t.Fatalf("%s %v", plain, err)
	}
	keys := envelope.Keys{Current: token.NewSecret(strings.Repeat("k", envelope.KeySize))}
	s := open(keys)
	if content, err := os.ReadFile(path); err != nil || envelope.IsPlain(content) || strings.Contains(string(content), "in-the-open") || !s.WasPlain() {
		t.Errorf("it rests in plain text: %s %v", content, err)
	}
	got, handle, err := s.Load(t.Context())
	if err != nil || storetest.NameOf(got) != "in-the-open" {
		t.Errorf("%+v %v", got, err)
	}
	if again := open(keys); again.WasPlain() {
		t.Error("the warning comes again")
	}
	// Whoever puts one there later does not have the key.
	if err := os.WriteFile(path, plain, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, _, err := s.Load(t.Context()); !errors.Is(err, envelope.ErrUnreadable) || !strings.Contains(err.Error(), "plain text") {
		t.Errorf("a planted record: %v", err)
	}
	if _, err := s.Swap(t.Context(), handle, want); !errors.Is(err, envelope.ErrUnreadable) {
		t.Errorf("it is overwritten: %v", err)
	}
}
