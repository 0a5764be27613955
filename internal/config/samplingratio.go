package config

import (
	"errors"
	"strconv"
)

// SamplingRatio is how many of the requests are logged.
type SamplingRatio struct {
	On bool
	Of float64 // from 0 to 1
}

// UnmarshalText reads off, all, or a number from 0 to 1.
func (r *SamplingRatio) UnmarshalText(text []byte) error {
	switch string(text) {
	case "", "off":
		*r = SamplingRatio{}
		return nil
	case "all":
		*r = SamplingRatio{true, 1}
		return nil
	}
	n, err := strconv.ParseFloat(string(text), 64)
	if err != nil || !(n >= 0 && n <= 1) {
		return errors.New("not a sampling ratio")
	}
	*r = SamplingRatio{true, n}
	return nil
}

// String is how UnmarshalText reads it.
func (r SamplingRatio) String() string {
	switch {
	case !r.On:
		return "off"
	case r.Of == 1:
		return "all"
	}
	return strconv.FormatFloat(r.Of, 'g', -1, 64)
}
