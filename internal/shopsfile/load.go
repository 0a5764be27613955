package shopsfile

import (
	"runtime/debug"

	"evergate/internal/config"
	"evergate/internal/listen"
	"evergate/internal/reload"
)

const setting = "EVERGATE_SHOPS_FILE"

// Load reads the file of EVERGATE_SHOPS_FILE; nil: there is none. The error joins one for each mistake. The value, which has been loaded, can be
// watched: each later state of the file that has no mistake is handed to take.
func Load(c *config.Config, take func(*File)) (*File, *reload.Value, error) {
	if c.ShopsFile == "" {
		return nil, nil, nil
	}
	var file *File
	value := watched(c, func(f *File) {
		if file != nil {
			take(f)
			return
		}
		file = f
	})
	if err := value.Load(); err != nil {
		return nil, nil, config.Redacted(err)
	}
	for _, s := range file.Shops {
		for _, a := range s.Listen {
			_ = c.CheckReach(s.Name.Domain()+": listen", a) // for its warnings
		}
	}
	return file, value, nil
}

// large is the length in bytes from which on what was needed for reading a file is given back to the system at once: it is
// many times what the file says, and it is long before there is a use for it again.
const large = 256 << 10

// watched is the file as a value that is read again when it changes. Each state of it that has no mistake is handed to take.
func watched(c *config.Config, take func(*File)) *reload.Value {
	o := Options{Path: c.ShopsFile, Single: c.Shop, Reach: func(a listen.Address) error {
		probe := *c // it notes warnings, and the file is read while others read the settings
		probe.Warnings = nil
		return probe.CheckReach("listen", a)
	}}
	o.Taken = []Taken{{"EVERGATE_LISTEN", c.Listeners}}
	for _, one := range []struct {
		setting string
		address listen.Address
	}{{"EVERGATE_ADMIN_LISTEN", c.Admin}, {"EVERGATE_LOGIN_LISTEN", c.Login}} {
		if one.address != (listen.Address{}) {
			o.Taken = append(o.Taken, Taken{one.setting, []listen.Address{one.address}})
		}
	}
	return reload.New(setting, []string{c.ShopsFile}, func(contents [][]byte) error {
		file, err := Parse(contents[0], o)
		if err == nil {
			take(file)
		}
		if len(contents[0]) > large {
			debug.FreeOSMemory()
		}
		return err
	}).AtMost(Largest)
}
