package grantadmin

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"evergate/internal/config"
	"evergate/internal/token"
)

func TestTheStateOfAGrant(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 30, 12, 0, 0, 0, time.UTC)
	secret := token.NewSecret
	expiring := token.Pair{
		Token:   token.Token{Access: secret("s-access"), Issued: now.Add(-30 * time.Minute), Life: time.Hour, Scopes: []string{"read_orders", "write_products"}},
		Refresh: secret("s-refresh"), RefreshExpires: now.Add(90 * 24 * time.Hour),
	}
	ended := expiring
	ended.Token.Issued = now.Add(-3 * time.Hour)
	permanent := token.Pair{Token: token.Token{Access: secret("s-access"), Issued: now.Add(-72 * time.Hour)}}
	for name, tc := range map[string]struct {
		record token.Record
		usable bool
		says   []string
		not    []string
	}{
		"expiring":          {token.Record{Current: expiring}, true, []string{"expires and is renewed", "issued on 2026-11-30 11:30 UTC (30m0s ago), ends in 30m0s", "kept; ends on 2027-02-28 12:00 UTC", "read_orders, write_products"}, []string{"migration", "attention", "attempt", "previous"}},
		"ended":             {token.Record{Current: ended}, false, []string{"ended 2h0m ago"}, []string{"ends in"}},
		"permanent":         {token.Record{Current: permanent}, true, []string{"does not expire", "(3 days ago)"}, []string{"ends in", "kept;"}},
		"seed":              {token.Record{Current: token.Pair{Refresh: secret("s-refresh")}}, false, []string{"not used yet", "none yet", "its end is not known"}, []string{"issued on"}},
		"migration begun":   {token.Record{Current: permanent, Original: secret("s-access")}, true, []string{"begun and not finished"}, nil},
		"migrated":          {token.Record{Current: expiring, Original: secret("s-old")}, true, []string{"until 2026-12-07 11:30 UTC at most"}, nil},
		"attempt":           {token.Record{Current: expiring, Attempt: &token.Attempt{Started: now.Add(-time.Minute)}}, true, []string{"began on 2026-11-30 11:59 UTC"}, nil},
		"one before":        {token.Record{Current: expiring, Previous: &token.Previous{Refresh: secret("s-previous")}}, true, []string{"refresh token before is kept"}, nil},
		"dead":              {token.Record{Current: expiring, Reauthorize: &token.Reauthorize{Since: now, Reason: "it was revoked"}}, true, []string{"authorised anew since 2026-11-30 12:00 UTC: it was revoked"}, nil},
		"nothing of an app": {token.Record{Current: expiring}, true, []string{"app: -", "store: file:x"}, nil},
	} {
		tc.record.Shop, tc.record.Grant = "acme.myshopify.com", config.GrantOffline
		s := StateOf(tc.record, now)
		s.Store = "file:x"
		var text strings.Builder
		for _, line := range s.Lines() {
			text.WriteString(line[0] + ": " + line[1] + "\n")
		}
		asJSON, err := json.Marshal(s)
		if err != nil || s.Usable != tc.usable || s.Usable != (s.Kind == Permanent || s.LeftSeconds > 0) {
			t.Errorf("%s: %s, %v", name, asJSON, err)
		}
		for _, has := range tc.says {
			if !strings.Contains(text.String(), has) {
				t.Errorf("%s: no %q in\n%s", name, has, &text)
			}
		}
		for _, hasNot := range tc.not {
			if strings.Contains(text.String(), hasNot) {
				t.Errorf("%s: %q in\n%s", name, hasNot, &text)
			}
		}
		if both := text.String() + string(asJSON); strings.Contains(both, "s-") {
			t.Errorf("%s: a secret in\n%s", name, both)
		}
	}
}

func TestSpansHaveAsMuchAsMatters(t *testing.T) {
	t.Parallel()
	for d, want := range map[time.Duration]string{
		0: "0s", 1500 * time.Millisecond: "1s", 59 * time.Minute: "59m0s", time.Hour + 30*time.Second: "1h0m", 47*time.Hour + 59*time.Minute: "47h59m", 48 * time.Hour: "2 days", 100*24*time.Hour + 23*time.Hour: "100 days",
	} {
		if got := Span(d); got != want {
			t.Errorf("%d: %s, want %s", d, got, want)
		}
	}
}
