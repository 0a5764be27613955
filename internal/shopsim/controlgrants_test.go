package shopsim

import (
	"reflect"
	"strings"
	"testing"
	"time"
)

// TestEverySettingCrossesTheControlAPI fills each field with a value of its own.
func TestEverySettingCrossesTheControlAPI(t *testing.T) {
	var c Settings
	v := reflect.ValueOf(&c).Elem()
	for i := range v.NumField() {
		switch f := v.Field(i); {
		case f.Type() == reflect.TypeFor[time.Time]():
			f.Set(reflect.ValueOf(time.Unix(int64(i), 0)))
		case f.Kind() == reflect.String:
			f.SetString(string(rune('a' + i)))
		case f.Kind() == reflect.Bool:
			f.SetBool(true)
		case f.CanInt():
			f.SetInt(int64(i + 1))
		case f.CanFloat():
			f.SetFloat(float64(i + 1))
		default:
			t.Fatalf("no value for %s", v.Type().Field(i).Name)
		}
	}
	back := reflect.ValueOf(wireSettings(c).settings())
	for i := range v.NumField() {
		if sent, arrived := v.Field(i).Interface(), back.Field(i).Interface(); !reflect.DeepEqual(sent, arrived) {
			t.Errorf("%s was sent as %v and arrived as %v: settingsWire, in controlsettings.go, has to have it, and both ways of it", v.Type().Field(i).Name, sent, arrived)
		}
	}
}

func TestEveryFaultFieldCrossesTheControlAPI(t *testing.T) {
	f := Fault{FaultDrop, API, GrantRefresh, "m", "s", 1, 2, 0.5, true, 3, 4, "b", "ct", "ra", 5, "l", 6, 7, true, "8"}
	if back := wireFault(f).fault(); back != f {
		t.Errorf("sent %+v, arrived %+v", f, back)
	}
}

func TestControlGrantSettings(t *testing.T) {
	s := simWith(0)
	want(t, control(t, s, "POST", "/_sim/settings", `{"rotation":"strict","retry":"same_pair","offline_life":"90s","refresh_life":"2h",
		"non_expiring_end":"2027-01-01T00:00:00Z","dead_refresh":"full_stop","wrong_secret_other":"html","signed_form":"encoded"}`),
		200, `"rotation": "strict"`, `"offline_life": "1m30s"`, `"retry_window": "720h0m0s"`, `"non_expiring_end": "2027-01-01T00:00:00Z"`)
	if c := s.Settings(); c.Rotation != RotationStrict || c.RefreshLife != 2*time.Hour || c.NonExpiringEnd.Year() != 2027 || c.CodeLife != time.Minute {
		t.Errorf("settings %+v", c)
	}
	for _, bad := range []string{`{"rotation":"x"}`, `{"retry":"x"}`, `{"dead_refresh":"x"}`, `{"signed_form":"x"}`,
		`{"wrong_secret_other":"x"}`, `{"code_life":-1}`, `{"retry_window":"-1s"}`, `{"non_expiring_end":"soon"}`} {
		want(t, control(t, s, "POST", "/_sim/settings", bad), 400, `"error"`)
	}
}

func TestControlGrants(t *testing.T) {
	s := simWith(0)
	c := newClient(t, s)
	get := func(path, member string) string {
		t.Helper()
		v, _ := control(t, s, "POST", path, "").json(t)[member].(string)
		if v == "" {
			t.Fatalf("%s shows no %s", path, member)
		}
		return v
	}
	want(t, c.redeem(get("/_sim/codes", "code")), 200)
	want(t, c.exchange(get("/_sim/session", "session_token")), 200)
	refresh := get("/_sim/pairs", "refresh_token")
	want(t, c.refresh(refresh), 200)
	want(t, c.refresh(refresh), 200)
	want(t, control(t, s, "POST", "/_sim/chains/end", ""), 200, `"ended": 2`)
	want(t, c.refresh(refresh), 401)
	a := control(t, s, "GET", "/_sim/state", "")
	want(t, a, 200, `"refreshes": 1`, `"retries": 1`, `"dead_refreshes": 1`, `"chains_lost": 1`, `"refresh_token": {`)
	if strings.Contains(a.body, refresh) || strings.Contains(a.body, "shprt_") {
		t.Errorf("the state shows a refresh token: %s", a.body)
	}
	want(t, control(t, s, "GET", "/_sim/chains", ""), 200, `"alive": false`, `"retired": "revoked"`)
	for _, path := range []string{"codes", "pairs", "session", "chains/end"} {
		want(t, control(t, s, "POST", "/_sim/"+path, `{"shop":"nowhere"}`), 400, "the shops are")
	}
}
