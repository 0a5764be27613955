package tracing

import (
	"encoding/binary"
	"errors"
	"math/rand/v2"
	"strconv"
	"strings"
)

// sampler decides which requests are recorded: a share of the traces, by their ids, so that all who see one trace and ask
// for the same share decide alike.
type sampler struct {
	bound         uint64 // of 2^63 traces, so many
	followsParent bool   // one that asks for recording is recorded
}

const allTraces = 1 << 63

// readSampler reads OTEL_TRACES_SAMPLER and its argument. As the specification wants it, what cannot be read is told of, and
// the default stands in.
func readSampler(getenv func(string) string) (sampler, error) {
	name := strings.ToLower(strings.TrimSpace(getenv("OTEL_TRACES_SAMPLER")))
	own, followsParent := strings.CutPrefix(name, "parentbased_")
	switch own {
	case "always_on":
		return sampler{allTraces, followsParent}, nil
	case "always_off":
		return sampler{0, followsParent}, nil
	case "traceidratio":
		bound, err := readRatio(getenv("OTEL_TRACES_SAMPLER_ARG"))
		return sampler{bound, followsParent}, err
	}
	standard := sampler{allTraces, true}
	if name == "" {
		return standard, nil
	}
	return standard, errors.New("OTEL_TRACES_SAMPLER: write always_on, always_off or traceidratio, or one of them with parentbased_ before it; parentbased_always_on is used")
}

func readRatio(arg string) (bound uint64, err error) {
	if arg = strings.TrimSpace(arg); arg == "" {
		return allTraces, nil
	}
	ratio, err := strconv.ParseFloat(arg, 64)
	if err != nil || !(ratio >= 0 && ratio <= 1) { // nor NaN
		return allTraces, errors.New("OTEL_TRACES_SAMPLER_ARG: write a ratio between 0 and 1; 1 is used")
	}
	return uint64(ratio * allTraces), nil
}

// records decides about a request in a trace, whose parent may be another process'. That a trace is not to be recorded is
// not for a client to say: what it does would be seen by nobody. Then the draw is our own, because the client chose the id.
func (s sampler) records(trace traceID, parent *spanContext) bool {
	switch {
	case !s.followsParent || !parent.valid():
		return s.takes(binary.BigEndian.Uint64(trace[8:]))
	case parent.sampled():
		return true
	default:
		return s.takes(rand.Uint64()) //nolint:gosec // nobody sees the numbers that it draws
	}
}

func (s sampler) takes(id uint64) bool { return id>>1 < s.bound }
