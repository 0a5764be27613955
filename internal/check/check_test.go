package check

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"evergate/internal/remedy"
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
	broken := remedy.New("mend it", "broken")
	for _, c := range []struct {
		err  error
		want Result
	}{
		{errors.New("broken"), Result{Status: Fail, Message: "broken"}},
		{broken, Result{Status: Fail, Message: "broken", Remedy: "mend it"}},
		{fmt.Errorf("a: %w", broken), Result{Status: Fail, Message: "a: broken", Remedy: "mend it"}},
		{&fs.PathError{Op: "open", Path: "/keys", Err: syscall.ENOENT}, Result{Status: Fail, Message: "open /keys: no such file or directory"}},
	} {
		if got := FromError(Fail, c.err); len(got) != 1 || got[0] != c.want {
			t.Errorf("%v: %+v, want %+v", c.err, got, c.want)
		}
	}
}

func TestWhatIsLeftOutForOneReasonIsOneLine(t *testing.T) {
	t.Parallel()
	var told []string
	each, end := Gather(func(r Result) { told = append(told, r.String()) })
	for _, r := range []Result{
		{Name: "a", Status: OK, Message: "m"}, {Name: "b", Status: OK, Message: "m"}, {Name: "c", Status: Skip, Message: "s"}, {Name: "d", Status: Skip, Message: "s"},
		{Name: "e", Status: Skip, Message: "t"}, {Name: "f", Status: Fail, Message: "m", Remedy: "do"}, {Name: "g", Status: Skip, Message: "t"},
	} {
		each(r)
	}
	if each(Result{Name: "h", Status: Skip, Message: "t"}); len(told) != 5 {
		t.Errorf("%q", told)
	}
	end()
	end()
	want := []string{"ok    a              m", "ok    b              m", "skip  c, d           s", "skip  e              t", "fail  f              m: do", "skip  g, h           t"}
	if !slices.Equal(told, want) {
		t.Errorf("%q", told)
	}
}
