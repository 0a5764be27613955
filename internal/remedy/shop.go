package remedy

import "strings"

// Shop is the shop that a command of Evergate's has to name; empty: there is one alone, which it need not.
type Shop string

// ShopOf makes a Shop of its domain.
func ShopOf(domain string) Shop {
	name, _, _ := strings.Cut(domain, ".")
	return Shop(name)
}

// Command is a command of Evergate's about the shop, as a remedy has it.
func (s Shop) Command(line string) string { return "`evergate " + s.Line(line) + "`" }

// Line is Command without the name of the program.
func (s Shop) Line(line string) string {
	if s == "" {
		return line
	}
	return line + " --shop " + string(s)
}
