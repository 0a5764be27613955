package shopsfile

import (
	"cmp"
	"errors"
	"fmt"
	"slices"

	"evergate/internal/config"
	"evergate/internal/remedy"
)

// mostMistakes are reported one by one; more have one cause.
const mostMistakes = 100

// mistakes collects what is wrong, with the lines.
type mistakes struct {
	list []*mistake // pointers: sorting slices of structs takes 10 KiB of code for each kind of struct
	more int
}

type mistake struct {
	line int
	err  error
}

func (m *mistakes) none() bool { return len(m.list) == 0 }

func (m *mistakes) add(line int, err error) {
	switch {
	case err == nil:
	case len(m.list) == mostMistakes:
		m.more++
	default:
		m.list = append(m.list, &mistake{line, err})
	}
}

func (m *mistakes) addf(line int, do, format string, args ...any) {
	m.add(line, remedy.New(do, format, args...))
}

// join is all of them as one error, in the order of their lines; nil: there are none.
func (m *mistakes) join(path string) error {
	slices.SortStableFunc(m.list, func(a, b *mistake) int { return cmp.Compare(a.line, b.line) })
	var errs []error
	for _, one := range m.list {
		place := path
		if one.line > 0 {
			place = fmt.Sprintf("%s, line %d", path, one.line)
		}
		errs = append(errs, remedy.Prefix(place, one.err))
	}
	if m.more > 0 {
		errs = append(errs, remedy.New("mend those first", "%s: %d more mistakes", path, m.more))
	}
	return config.Redacted(errors.Join(errs...))
}
