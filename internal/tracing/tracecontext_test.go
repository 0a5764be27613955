package tracing

import (
	"net/http"
	"slices"
	"strings"
	"testing"
	"unsafe"

	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"
)

const (
	anID     = "0af7651916cd43dd8448eb211c80319c"
	aSpan    = "b7ad6b7169203331"
	manyKeys = "a=1,b=1,c=1,d=1,e=1,f=1,g=1,h=1,i=1,j=1,k=1,l=1,m=1,n=1,o=1,p=1,q=1,r=1,s=1,t=1,u=1,v=1,w=1,x=1,y=1,z=1,aa=1,ab=1,ac=1,ad=1,ae=1,af=1"
)

func TestTraceparentsAreReadAsW3CSays(t *testing.T) {
	t.Parallel()
	for text, flags := range map[string]int{
		"00-" + anID + "-" + aSpan + "-00":           0,
		"00-" + anID + "-" + aSpan + "-01":           1,
		"00-" + anID + "-" + aSpan + "-03":           3,
		"01-" + anID + "-" + aSpan + "-01":           1,
		"cc-" + anID + "-" + aSpan + "-ff":           3, // flags that are not known yet are zero
		"cc-" + anID + "-" + aSpan + "-01-and-so-on": 1,
		"":                                                    -1,
		"00":                                                  -1,
		"00-" + anID + "-" + aSpan + "-0":                     -1,
		"00-" + anID + "-" + aSpan + "-01-":                   -1,
		"00-" + anID + "-" + aSpan + "-01-more":               -1,
		"00-" + anID + "-" + aSpan + "-04":                    -1,
		"00_" + anID + "-" + aSpan + "-01":                    -1,
		"00-" + anID + "_" + aSpan + "-01":                    -1,
		"00-" + anID + "-" + aSpan + "_01":                    -1,
		"cc-" + anID + "-" + aSpan + "-01.and-so-on":          -1,
		"ff-" + anID + "-" + aSpan + "-01":                    -1,
		"0g-" + anID + "-" + aSpan + "-01":                    -1,
		"00-" + strings.ToUpper(anID) + "-" + aSpan + "-01":   -1,
		"00-" + strings.Repeat("0", 32) + "-" + aSpan + "-01": -1,
		"00-" + anID + "-" + strings.Repeat("0", 16) + "-01":  -1,
		" 00-" + anID + "-" + aSpan + "-01":                   -1,
	} {
		c, ok := parseTraceparent(text)
		if ok != (flags >= 0) || ok && int(c.flags) != flags {
			t.Errorf("%q: %v, %+v", text, ok, c)
		}
		if ok && c.traceparent() != "00-"+anID+"-"+aSpan+"-0"+string(rune('0'+flags)) {
			t.Errorf("%q became %q", text, c.traceparent())
		}
	}
}

func TestTracestatesAreReadAsW3CSays(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"":                                "",
		"a=1":                             "a=1",
		"a=1,b=2":                         "a=1,b=2",
		" a=1 ,\tb=2\t":                   "a=1,b=2",
		"a=1,,b=2,":                       "a=1,b=2",
		"a=1, ,b=2":                       "a=1,b=2", // a member may be empty
		"fw529a3039@dt=x":                 "fw529a3039@dt=x",
		"0a@dt=x":                         "0a@dt=x",
		"a= b c":                          "a= b c",
		manyKeys:                          manyKeys,
		strings.Repeat("0", 241) + "@b=1": strings.Repeat("0", 241) + "@b=1",
		strings.Repeat("0", 242) + "@b=1": "",
		manyKeys + ",ag=1":                "",
		"0a=1":                            "",
		"A=1":                             "",
		"a":                               "",
		"a=":                              "",
		"=1":                              "",
		"a =1":                            "",
		"a=1=2":                           "",
		"a=1,a=2":                         "",
		"a=\x7f":                          "",
		"a=é":                             "",
		"@dt=1":                           "",
		"a@=1":                            "",
		"a@0b=1":                          "",
		"a@b@c=1":                         "",
		"a@abcdefghijklmn=1":              "a@abcdefghijklmn=1",
		"a@abcdefghijklmno=1":             "",
		"_a=1":                            "",
		"a=" + strings.Repeat("x", 256):   "a=" + strings.Repeat("x", 256),
		"a=" + strings.Repeat("x", 257):   "",
		strings.Repeat("a", 257) + "=1":   "",
	} {
		if got := parseTracestate(text); got != want {
			t.Errorf("%q became %q, not %q", text, got, want)
		}
	}
}

// A tracestate may come in several fields (W3C Trace Context, 3.3.1).
func TestTheFieldsOfATracestateAreOneList(t *testing.T) {
	t.Parallel()
	c := extract(http.Header{traceparentField: {parent}, tracestateField: {"a=1", "b=2"}})
	out := http.Header{tracestateField: {"a=1", "b=2"}}
	c.inject(out)
	if got := out[tracestateField]; !slices.Equal(got, []string{"a=1,b=2"}) {
		t.Errorf("%q", got)
	}
}

// A tracestate waits in the queue with its span.
func TestATracestateHoldsNothingLonger(t *testing.T) {
	if n := testing.AllocsPerRun(10, func() { parseTracestate(manyKeys) }); n != 0 {
		t.Errorf("%v allocations for one that can go on as it is", n)
	}
	for _, want := range []string{"a=1", "a=1,b=2"} {
		long := want + strings.Repeat(",", 1<<20)
		if got := parseTracestate(long); got != want || unsafe.StringData(got) == unsafe.StringData(long) {
			t.Errorf("%d bytes, in the memory of %d", len(got), len(long))
		}
	}
}

func FuzzTraceContext(f *testing.F) {
	for _, state := range []string{"", "a=1", "a=1,b@c=2", " a=1 , ,b= 2", manyKeys, "a=1,a=2", "a", "a=1\t", "\xff=1"} {
		f.Add(parent, state)
	}
	for _, p := range []string{"", "cc-" + anID + "-" + aSpan + "-ff-x", "00-" + anID + "-" + aSpan + "-02", "ff-" + anID + "-" + aSpan + "-01", "00-" + anID + "-" + aSpan + "-01-"} {
		f.Add(p, "a=1")
	}
	f.Fuzz(func(t *testing.T, traceparent, tracestate string) {
		h := http.Header{traceparentField: {traceparent}, tracestateField: {tracestate}}
		got := extract(h)

		// The SDK takes a hyphen at the end of version 00, and no member of spaces; both are against the standard.
		if strings.HasPrefix(traceparent, "00-") && strings.HasSuffix(traceparent, "-") {
			traceparent = ""
		}
		members := slices.DeleteFunc(strings.Split(tracestate, ","), func(m string) bool { return strings.Trim(m, " \t") == "" })
		theirs := http.Header{traceparentField: {traceparent}, tracestateField: {strings.Join(members, ",")}}
		ctx := propagation.TraceContext{}.Extract(t.Context(), propagation.HeaderCarrier(theirs))
		want := trace.SpanContextFromContext(ctx)
		if got.valid() != want.IsValid() || got.trace != traceID(want.TraceID()) || got.span != spanID(want.SpanID()) || got.flags != byte(want.TraceFlags()) || got.state != want.TraceState().String() {
			t.Fatalf("%+v, and the SDK reads %+v", got, want)
		}
		if len(got.state) > 16<<10+64 {
			t.Errorf("a tracestate of %d bytes", len(got.state))
		}
		if !got.valid() {
			return
		}
		propagation.TraceContext{}.Inject(ctx, propagation.HeaderCarrier(theirs))
		got.inject(h)
		if h.Get(traceparentField) != theirs.Get(traceparentField) || got.state != "" && h.Get(tracestateField) != theirs.Get(tracestateField) {
			t.Errorf("%v, and the SDK sends %v", h, theirs)
		}
		again := extract(h)
		if again.trace != got.trace || again.span != got.span || again.flags != got.flags || again.state != got.state {
			t.Errorf("%+v is read back as %+v", got, again)
		}
	})
}
