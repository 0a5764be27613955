package config

import (
	"errors"
	"strconv"
)

// Share is how many of the requests are logged.
type Share struct {
	On bool
	Of float64 // from 0 to 1
}

// UnmarshalText reads off, all, or a number from 0 to 1.
func (s *Share) UnmarshalText(text []byte) error {
	switch string(text) {
	case "", "off":
		*s = Share{}
		return nil
	case "all":
		*s = Share{true, 1}
		return nil
	}
	n, err := strconv.ParseFloat(string(text), 64)
	if err != nil || !(n >= 0 && n <= 1) {
		return errors.New("not a share")
	}
	*s = Share{true, n}
	return nil
}

// String is how UnmarshalText reads it.
func (s Share) String() string {
	switch {
	case !s.On:
		return "off"
	case s.Of == 1:
		return "all"
	}
	return strconv.FormatFloat(s.Of, 'g', -1, 64)
}
