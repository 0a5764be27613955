package shopsim

import (
	"encoding/json"
	"net/http"
	"time"
)

// settingsWire is Settings in the control API.
type settingsWire struct {
	TokenLife        seconds    `json:"token_life"`
	Repeat           Repeat     `json:"repeat"`
	SameWhile        seconds    `json:"same_while"`
	WrongSecret      ErrorForm  `json:"wrong_secret"`
	WrongSecretOther ErrorForm  `json:"wrong_secret_other"`
	NotPermitted     ErrorForm  `json:"not_permitted"`
	CodeLife         seconds    `json:"code_life"`
	OfflineLife      seconds    `json:"offline_life"`
	OnlineLife       seconds    `json:"online_life"`
	RefreshLife      seconds    `json:"refresh_life"`
	Rotation         Rotation   `json:"rotation"`
	Retry            Retry      `json:"retry"`
	RetryWindow      seconds    `json:"retry_window"`
	RevokeReplaced   bool       `json:"revoke_replaced"`
	DeadRefresh      DeadAnswer `json:"dead_refresh"`
	MigrationWindow  seconds    `json:"migration_window"`
	MigrateOnce      bool       `json:"migrate_once"`
	NonExpiringEnd   time.Time  `json:"non_expiring_end,omitzero"`
	ExactRedirects   bool       `json:"exact_redirects"`
	SignedForm       SignedForm `json:"signed_form"`
	HostPadding      bool       `json:"host_padding"`
	CancelSilently   bool       `json:"cancel_silently"`
	RESTSize         int        `json:"rest_size"`
	RESTLeak         float64    `json:"rest_leak"`
	RESTRetryAfter   string     `json:"rest_retry_after"`
	GraphQLSize      float64    `json:"graphql_size"`
	GraphQLRestore   float64    `json:"graphql_restore"`
	MaxQueryCost     int        `json:"max_query_cost"`
	BulkTime         seconds    `json:"bulk_time"`
	SetCookie        bool       `json:"set_cookie"`
	Gzip             bool       `json:"gzip"`
	Zstd             bool       `json:"zstd"`
	ExactTLS         bool       `json:"exact_tls"`
	ClockSkew        seconds    `json:"clock_skew"`
}

func wireSettings(c Settings) settingsWire {
	return settingsWire{
		TokenLife:        seconds(c.TokenLife),
		Repeat:           c.Repeat,
		SameWhile:        seconds(c.SameWhile),
		WrongSecret:      c.WrongSecret,
		WrongSecretOther: c.WrongSecretOther,
		NotPermitted:     c.NotPermitted,
		CodeLife:         seconds(c.CodeLife),
		OfflineLife:      seconds(c.OfflineLife),
		OnlineLife:       seconds(c.OnlineLife),
		RefreshLife:      seconds(c.RefreshLife),
		Rotation:         c.Rotation,
		Retry:            c.Retry,
		RetryWindow:      seconds(c.RetryWindow),
		RevokeReplaced:   c.RevokeReplaced,
		DeadRefresh:      c.DeadRefresh,
		MigrationWindow:  seconds(c.MigrationWindow),
		MigrateOnce:      c.MigrateOnce,
		NonExpiringEnd:   c.NonExpiringEnd,
		ExactRedirects:   c.ExactRedirects,
		SignedForm:       c.SignedForm,
		HostPadding:      c.HostPadding,
		CancelSilently:   c.CancelSilently,
		RESTSize:         c.RESTSize,
		RESTLeak:         c.RESTLeak,
		RESTRetryAfter:   c.RESTRetryAfter,
		GraphQLSize:      c.GraphQLSize,
		GraphQLRestore:   c.GraphQLRestore,
		MaxQueryCost:     c.MaxQueryCost,
		BulkTime:         seconds(c.BulkTime),
		SetCookie:        c.SetCookie,
		Gzip:             c.Gzip,
		Zstd:             c.Zstd,
		ExactTLS:         c.ExactTLS,
		ClockSkew:        seconds(c.ClockSkew),
	}
}

func (w settingsWire) settings() Settings {
	return Settings{
		TokenLife:        time.Duration(w.TokenLife),
		Repeat:           w.Repeat,
		SameWhile:        time.Duration(w.SameWhile),
		WrongSecret:      w.WrongSecret,
		WrongSecretOther: w.WrongSecretOther,
		NotPermitted:     w.NotPermitted,
		CodeLife:         time.Duration(w.CodeLife),
		OfflineLife:      time.Duration(w.OfflineLife),
		OnlineLife:       time.Duration(w.OnlineLife),
		RefreshLife:      time.Duration(w.RefreshLife),
		Rotation:         w.Rotation,
		Retry:            w.Retry,
		RetryWindow:      time.Duration(w.RetryWindow),
		RevokeReplaced:   w.RevokeReplaced,
		DeadRefresh:      w.DeadRefresh,
		MigrationWindow:  time.Duration(w.MigrationWindow),
		MigrateOnce:      w.MigrateOnce,
		NonExpiringEnd:   w.NonExpiringEnd,
		ExactRedirects:   w.ExactRedirects,
		SignedForm:       w.SignedForm,
		HostPadding:      w.HostPadding,
		CancelSilently:   w.CancelSilently,
		RESTSize:         w.RESTSize,
		RESTLeak:         w.RESTLeak,
		RESTRetryAfter:   w.RESTRetryAfter,
		GraphQLSize:      w.GraphQLSize,
		GraphQLRestore:   w.GraphQLRestore,
		MaxQueryCost:     w.MaxQueryCost,
		BulkTime:         time.Duration(w.BulkTime),
		SetCookie:        w.SetCookie,
		Gzip:             w.Gzip,
		Zstd:             w.Zstd,
		ExactTLS:         w.ExactTLS,
		ClockSkew:        time.Duration(w.ClockSkew),
	}
}

func (s *Sim) controlSettings(w http.ResponseWriter, _ *http.Request) {
	writeControl(w, http.StatusOK, wireSettings(s.Settings()))
}

// changeSettings changes the members that are given and answers with all.
func (s *Sim) changeSettings(given json.RawMessage) (any, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	next := wireSettings(s.state.settings)
	if len(given) > 0 {
		if err := decodeStrict(given, &next); err != nil {
			return nil, err
		}
	}
	if err := next.settings().Validate(); err != nil {
		return nil, err
	}
	s.state.settings = next.settings().withDefaults()
	return wireSettings(s.state.settings), nil
}
