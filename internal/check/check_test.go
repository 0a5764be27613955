package check

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func fixed(name string, needs []string, results ...Result) Check {
	return Check{Name: name, Needs: needs, Run: func(context.Context) []Result { return results }}
}

func statuses(all []Result) (out []string) {
	for _, r := range all {
		out = append(out, r.Name+" "+string(r.Status))
	}
	return out
}

func quiet(Result) {}

func TestFailureSkipsWhatNeedsItAndNothingElse(t *testing.T) {
	t.Parallel()
	var told []Result
	all := Run(t.Context(), []Check{
		fixed("a", nil, Result{Status: OK}),
		fixed("b", []string{"a"}, Result{Status: Warn}),
		fixed("c", []string{"a"}, Result{Status: OK}, Result{Status: Fail}),
		fixed("d", []string{"b"}, Result{Status: OK}),
		fixed("e", []string{"c"}, Result{Status: OK}),
		fixed("f", []string{"e"}, Result{Status: OK}),
		fixed("g", []string{"never-ran"}, Result{Status: OK}),
	}, func(r Result) { told = append(told, r) })
	want := []string{"a ok", "b warn", "c ok", "c fail", "d ok", "e skip", "f skip", "g ok"}
	if got := statuses(all); !slices.Equal(got, want) || !slices.Equal(told, all) {
		t.Errorf("%q\nwant\n%q", got, want)
	}
	if !Failed(all) || Failed(all[:3]) || Failed(all[4:]) {
		t.Error("Failed is wrong")
	}
	if !strings.Contains(all[5].Message, `"c"`) {
		t.Errorf("%+v", all[5])
	}
}

func TestCheckThatHangsIsEndedAndTheOthersGoOn(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		hang := Check{Name: "a", Limit: time.Minute, Run: func(ctx context.Context) []Result {
			<-ctx.Done()
			return fail("", "%s", context.Cause(ctx))
		}}
		began := time.Now()
		all := Run(t.Context(), []Check{hang, fixed("b", nil, Result{Status: OK})}, quiet)
		if !slices.Equal(statuses(all), []string{"a fail", "b ok"}) || all[0].Message != "no answer within 1m0s" || time.Since(began) != time.Minute {
			t.Errorf("%+v after %s", all, time.Since(began))
		}
	})
}

func TestInterruptedChecksAreSkipped(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	stop := Check{Name: "a", Run: func(context.Context) []Result { cancel(); return ok("done") }}
	all := Run(ctx, []Check{stop, fixed("b", nil, Result{Status: OK})}, quiet)
	if !slices.Equal(statuses(all), []string{"a ok", "b skip"}) {
		t.Errorf("%+v", all)
	}
}

func TestResultIsOneLineAndItsJSONHasEveryMember(t *testing.T) {
	t.Parallel()
	for line, r := range map[string]Result{
		"ok    dns            it is\there": {"dns", OK, "it is\there", ""},
		"fail  configuration  a; b: c; d":  {"configuration", Fail, "a\nb", "c\nd"},
	} {
		if r.String() != line {
			t.Errorf("%q, want %q", r.String(), line)
		}
	}
	b, err := json.Marshal(Result{Name: "dns", Status: OK})
	if err != nil || string(b) != `{"name":"dns","status":"ok","message":"","remedy":""}` {
		t.Errorf("%s, %v", b, err)
	}
}

func TestErrorIsSplitIntoMessageAndRemedy(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]Result{
		"broken":                    {Status: Fail, Message: "broken"},
		"broken: mend it":           {Status: Fail, Message: "broken", Remedy: "mend it"},
		"a: broken: mend it":        {Status: Fail, Message: "a: broken", Remedy: "mend it"},
		"at 127.0.0.1:1: broken":    {Status: Fail, Message: "at 127.0.0.1:1", Remedy: "broken"},
		"nothing on 127.0.0.1:8080": {Status: Fail, Message: "nothing on 127.0.0.1:8080"},
	} {
		if got := FromError(Fail, errors.New(text)); len(got) != 1 || got[0] != want {
			t.Errorf("%q: %+v, want %+v", text, got, want)
		}
	}
}
