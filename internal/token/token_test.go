package token

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestScopesThatAreMissing(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name             string
		want, have, miss string
	}{
		{"nothing_wanted", "", "read_products", ""},
		{"nothing_had", "read_products,write_orders", "", "read_products,write_orders"},
		{"all_had", "read_products,write_orders", "write_orders,read_products,read_themes", ""},
		{"write_covers_read", "read_products", "write_products", ""},
		{"read_does_not_cover_write", "write_products", "read_products", "write_products"},
		{"write_of_another_does_not", "read_products", "write_product_listings", "read_products"},
		{"unauthenticated_write_covers_its_read", "unauthenticated_read_checkouts", "unauthenticated_write_checkouts", ""},
		{"unauthenticated_read_does_not_cover_write", "unauthenticated_write_checkouts", "unauthenticated_read_checkouts", "unauthenticated_write_checkouts"},
		{"authenticated_write_does_not_cover_it", "unauthenticated_read_checkouts", "write_checkouts", "unauthenticated_read_checkouts"},
		{"nor_the_other_way_round", "read_checkouts", "unauthenticated_write_checkouts", "read_checkouts"},
		{"neither_read_nor_write", "customer_tags", "write_customer_tags", "customer_tags"},
		{"order_is_kept", "write_c,read_b,write_a", "write_b", "write_c,write_a"},
		{"case_matters", "read_products", "READ_PRODUCTS", "read_products"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			if got := MissingScopes(list(tc.want), list(tc.have)); !slices.Equal(got, list(tc.miss)) {
				t.Errorf("%q, want %q", got, tc.miss)
			}
		})
	}
}

func list(s string) []string {
	if s == "" {
		return nil
	}
	return strings.Split(s, ",")
}

func TestTokenWithoutALifeDoesNotExpire(t *testing.T) {
	t.Parallel()
	if (Token{}).Expires() || !(Token{Life: time.Second}).Expires() {
		t.Error("Expires is wrong")
	}
}

func TestUnavailableErrorKeepsItsReason(t *testing.T) {
	t.Parallel()
	for _, decision := range []error{ErrTransient, ErrConfig, ErrReauthorize} {
		err := fmt.Errorf("request: %w", &UnavailableError{Err: fmt.Errorf("grant: %w", decision), RetryAfter: time.Second})
		var unavailable *UnavailableError
		if !errors.Is(err, decision) || !errors.As(err, &unavailable) || unavailable.RetryAfter != time.Second {
			t.Errorf("%v", err)
		}
		if !strings.Contains(err.Error(), "no usable token: grant: "+decision.Error()) {
			t.Errorf("%v", err)
		}
	}
}

func TestADecisionIsFoundAndNotSaid(t *testing.T) {
	t.Parallel()
	cause := errors.New("connection reset")
	err := fmt.Errorf("token endpoint: %w", Decide(ErrTransient, cause))
	if !errors.Is(err, ErrTransient) || !errors.Is(err, cause) || errors.Is(err, ErrConfig) {
		t.Errorf("%v asks for something else", err)
	}
	if err.Error() != "token endpoint: connection reset" {
		t.Errorf("%v", err)
	}
}

func TestATokenHasEndedWhenItsLifeIsOver(t *testing.T) {
	t.Parallel()
	now := time.Now()
	for name, c := range map[string]struct {
		tok  Token
		at   time.Time
		want bool
	}{
		"it lives":        {Token{Issued: now, Life: time.Hour}, now.Add(time.Hour - 1), false},
		"its last moment": {Token{Issued: now, Life: time.Hour}, now.Add(time.Hour), true},
		"it was stored":   {Token{Issued: now.Round(0), Life: time.Hour}, now.Add(time.Hour), true},
		"it has no end":   {Token{Issued: now}, now.AddDate(100, 0, 0), false},
	} {
		if got := c.tok.EndedBy(c.at); got != c.want {
			t.Errorf("%s: %t", name, got)
		}
	}
}
