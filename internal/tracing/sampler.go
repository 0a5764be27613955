package tracing

import (
	"crypto/rand"
	"strconv"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"
)

// The samplers that follow a client, by their names in OTEL_TRACES_SAMPLER.
const (
	parentAlwaysOn  = "parentbased_always_on"
	parentAlwaysOff = "parentbased_always_off"
	parentRatio     = "parentbased_traceidratio"
)

// samplerOf returns the sampler in place of the one that the SDK would take for a name; nil: the
// SDK's own. Those that follow a parent do so when it asks for a trace to be recorded. That one
// is not to be recorded is not for a client to say: what it does would be seen by nobody.
func samplerOf(name, arg string) sdktrace.Sampler {
	var own sdktrace.Sampler
	switch name {
	case "", parentAlwaysOn:
		own = sdktrace.AlwaysSample()
	case parentAlwaysOff:
		own = sdktrace.NeverSample()
	case parentRatio:
		ratio, err := strconv.ParseFloat(arg, 64)
		if err != nil || ratio < 0 || ratio > 1 {
			return nil // the SDK says what is wrong with it
		}
		own = sdktrace.TraceIDRatioBased(ratio)
	default:
		return nil
	}
	return sdktrace.ParentBased(own, sdktrace.WithRemoteParentNotSampled(ownDecision{own}))
}

// ownDecision samples by a trace id of its own, because a client chooses the other one.
type ownDecision struct{ sdktrace.Sampler }

// ShouldSample implements sdktrace.Sampler.
func (d ownDecision) ShouldSample(p sdktrace.SamplingParameters) sdktrace.SamplingResult {
	_, _ = rand.Read(p.TraceID[:])
	return d.Sampler.ShouldSample(p)
}
