package check

import (
	"context"
	"errors"
	"io/fs"
	"net"
	"os"
	"runtime"
	"strings"
	"syscall"
	"time"

	"evergate/internal/listen"
	"evergate/internal/readfile"
	"evergate/internal/remedy"
	"evergate/internal/token"
)

// Configuration is what reading the settings brought: mistakes and warnings. summary says
// what is configured.
func Configuration(mistakes, warnings []error, summary string) Check {
	return Check{Name: "configuration", Run: func(context.Context) []Result {
		var list []Result
		for _, m := range mistakes {
			list = append(list, FromError(Fail, m)...)
		}
		for _, w := range warnings {
			list = append(list, FromError(Warn, w)...)
		}
		if list == nil {
			return ok("%s", summary)
		}
		return list
	}}
}

// File is a secret that is given as a file.
type File struct{ Setting, Path string }

// SecretFiles looks at who else can read the files that hold secrets.
func SecretFiles(files []File) Check {
	return Check{Name: "secret-files", Run: func(context.Context) []Result {
		if len(files) == 0 {
			return ok("no secret is given as a file")
		}
		var list []Result
		for _, f := range files {
			list = append(list, f.look()...)
		}
		return list
	}}
}

// largestSecret bounds in bytes what is read of a secret's file; no setting takes more.
const largestSecret = 1 << 20

func (f File) look() []Result {
	if readfile.IsStream(f.Path) {
		return ok("%s is no file that others could open later", f.Path)
	}
	if _, err := readfile.Read(f.Path, largestSecret); err != nil {
		return fail("make it readable for the user that runs Evergate, or correct the path", "%s: %s", f.Setting, why(err))
	}
	info, err := os.Stat(f.Path)
	if err != nil {
		return fail("make it readable for the user that runs Evergate", "%s: %s", f.Setting, why(err))
	}
	mode := info.Mode().Perm()
	switch {
	case runtime.GOOS == "windows": // the mode says nothing there
	case mode&0o002 != 0:
		return fail("chmod o-rwx "+f.Path, "%s: every user of this machine can replace %s (mode %#o)", f.Setting, f.Path, mode)
	case mode&0o004 != 0:
		return warn("chmod o-rwx "+f.Path, "%s: every user of this machine can read %s (mode %#o)", f.Setting, f.Path, mode)
	}
	return ok("%s is readable for Evergate alone or its group", f.Path)
}

// why is an error's reason with its path, without the name of the system call.
func why(err error) string {
	var p *fs.PathError
	if errors.As(err, &p) {
		return p.Path + " cannot be read, " + p.Err.Error()
	}
	return err.Error()
}

// Store is where a grant rests.
type Store struct {
	// Where names the place for people; empty when nothing is kept. Err is why it cannot be opened.
	Where string
	Err   error
	// Dir is the directory of a file store; else Lease tries whether it can be written to, and Find looks for what is wrong with it.
	Dir      string
	Record   string // the record's file in Dir
	Volatile bool   // it ends with the process
	Load     func(ctx context.Context) error
	Lease    func(ctx context.Context) (release func(), err error)
	Find     func(ctx context.Context) []token.Finding
}

const storeLimit = 10 * time.Second

// Stored looks whether the grant's place can be read and written.
func Stored(s Store) Check {
	return Check{Name: "store", Limit: storeLimit, Run: func(ctx context.Context) []Result {
		switch {
		case s.Err != nil:
			return FromError(Fail, s.Err)
		case s.Where == "":
			return ok("nothing is kept, and with this grant nothing needs to be")
		case s.Volatile:
			return warn("set EVERGATE_STORE=file:DIR", "the grant is kept in memory and lost when the sidecar ends")
		}
		if err := s.Load(ctx); err != nil && !errors.Is(err, token.ErrNotFound) {
			return FromError(Fail, err)
		}
		if s.Dir != "" {
			return s.lookAtDir()
		}
		release, err := s.Lease(ctx)
		if err != nil {
			return fail("see whether the store is up and this user may write to it", "%s: no lease can be had, %s", s.Where, err)
		}
		release()
		return append(found(s.Find(ctx)), ok("%s can be read and written", s.Where)...)
	}}
}

// lookAtDir writes a file, because a directory may be read-only or full, and removes it.
func (s Store) lookAtDir() []Result {
	f, err := os.CreateTemp(s.Dir, ".check.*.tmp")
	if err == nil {
		_, err = f.Write(make([]byte, 4096))
		err = errors.Join(err, f.Sync(), f.Close(), os.Remove(f.Name()))
	}
	if err != nil {
		return fail("see that "+s.Dir+" is writable for the user that runs Evergate and has space", "%s cannot be written to, %s", s.Where, err)
	}
	info, err := os.Stat(s.Record)
	if err == nil && runtime.GOOS != "windows" && info.Mode().Perm()&0o077 != 0 {
		return warn("chmod 600 "+s.Record, "other users may read %s (mode %#o)", s.Record, info.Mode().Perm())
	}
	return ok("%s can be read and written", s.Where)
}

const listenLimit = 10 * time.Second

// Listeners looks whether the addresses are free, or in use by a sidecar, which alive asks.
func Listeners(addresses []listen.Address, alive func(ctx context.Context) error) Check {
	return Check{Name: "listeners", Limit: listenLimit, Run: func(ctx context.Context) []Result {
		var free, taken []string
		var list []Result
		seen := map[string]bool{}
		for _, a := range addresses {
			if seen[a.String()] { // two with port 0 are two free ports
				continue
			}
			seen[a.String()] = true
			switch err := tryAddress(ctx, a); {
			case err == nil:
				free = append(free, a.String())
			case errors.Is(err, syscall.EADDRINUSE):
				taken = append(taken, a.String())
			case errors.Is(err, listen.ErrFamilyMissing) && len(addresses) > 1: // the start says whether the others are enough
				list = append(list, FromError(Warn, err)...)
			default:
				list = append(list, FromError(Fail, err)...)
			}
		}
		if len(free) > 0 {
			list = append(list, ok("%s: free", strings.Join(free, ", "))...)
		}
		if len(taken) > 0 {
			list = append(list, judgeTaken(ctx, taken, alive)...)
		}
		return list
	}}
}

func judgeTaken(ctx context.Context, taken []string, alive func(ctx context.Context) error) []Result {
	names := strings.Join(taken, ", ")
	if err := alive(ctx); err != nil {
		return fail("stop that one, or choose other addresses in EVERGATE_LISTEN and EVERGATE_ADMIN_LISTEN",
			"%s: in use by another process, and no sidecar answers on EVERGATE_ADMIN_LISTEN", names)
	}
	return ok("%s: in use by a sidecar that answers", names)
}

// tryAddress listens for a moment. A socket is only called: listening would replace its file.
func tryAddress(ctx context.Context, a listen.Address) error {
	if a.Network == "unix" {
		var d net.Dialer
		if conn, err := d.DialContext(ctx, a.Network, a.Address); err == nil {
			return errors.Join(syscall.EADDRINUSE, conn.Close())
		}
		dir := a.Address[:strings.LastIndexByte(a.Address, '/')+1]
		if _, err := os.Stat(dir); err != nil {
			return remedy.New("make it", "the directory of the socket %s is missing", a.Address)
		}
		return nil
	}
	opened, _, err := listen.OpenEvery(ctx, []listen.Address{a}, listen.OwnerMode)
	for _, l := range opened {
		err = errors.Join(err, l.Listener.Close())
	}
	return err
}
