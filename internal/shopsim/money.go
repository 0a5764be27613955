package shopsim

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
)

// money is an amount in hundredths of the shop's currency.
type money int64

const shopCurrency = "USD"

var errMoney = errors.New("no decimal number")

// parseMoney reads a decimal number. What is smaller than a hundredth is rounded.
func parseMoney(text string) (money, error) {
	unsigned, negative := strings.CutPrefix(text, "-")
	whole, fraction, _ := strings.Cut(unsigned, ".")
	digits := func(s string) bool { return strings.Trim(s, "0123456789") == "" }
	if whole+fraction == "" || !digits(whole) || !digits(fraction) || len(whole) > 15 {
		return 0, errMoney
	}
	amount, err := strconv.ParseFloat(unsigned, 64)
	if err != nil {
		return 0, errMoney
	}
	cents := money(math.Round(amount * 100))
	if negative {
		cents = -cents
	}
	return cents, nil
}

func (m money) String() string {
	sign := ""
	if m < 0 {
		sign, m = "-", -m
	}
	return fmt.Sprintf("%s%d.%02d", sign, m/100, m%100)
}
