package config

// Setting describes one for documentation.
type Setting struct {
	Name, Default, Help string
	// File says that it can be given as NAME_FILE, or as a credential.
	File bool
}

// Settings lists them all, in the order in which people read them.
func Settings() []Setting {
	var all []Setting
	for _, s := range settings() {
		all = append(all, Setting{s.name, s.defaultValue, s.help, s.hasFile()})
	}
	return all
}
