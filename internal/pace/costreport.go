package pace

import (
	"bytes"
	"encoding/json"
	"strconv"
)

// costReport is extensions.cost of a GraphQL answer.
type costReport struct {
	requested, actual number
	// bucket says that the other three are there: what throttleStatus has.
	bucket                      bool
	maximum, available, restore float64
}

// number is one that may be missing or null, as actualQueryCost is when throttled.
type number struct {
	value float64
	known bool
}

// usable reports whether what the report says of the bucket can be believed.
func (c *costReport) usable() bool {
	const most = 1e9
	return c.bucket && c.maximum > 0 && c.maximum < most && c.restore > 0 && c.restore < most &&
		c.available > -most && c.available <= c.maximum
}

// parseCost reads the value of extensions. Written as Shopify writes it, with nothing beside
// the cost, that allocates nothing.
func parseCost(extensions []byte) (costReport, bool) {
	if len(extensions) == 0 {
		return costReport{}, false
	}
	if report, ok := parseUsualCost(extensions); ok {
		return report, true
	}
	return parseAnyCost(extensions)
}

// parseAnyCost reads any JSON.
func parseAnyCost(extensions []byte) (costReport, bool) {
	var e struct {
		Cost *struct {
			Requested *float64 `json:"requestedQueryCost"`
			Actual    *float64 `json:"actualQueryCost"`
			Status    *struct {
				Maximum   float64 `json:"maximumAvailable"`
				Available float64 `json:"currentlyAvailable"`
				Restore   float64 `json:"restoreRate"`
			} `json:"throttleStatus"`
		} `json:"cost"`
	}
	if json.Unmarshal(extensions, &e) != nil || e.Cost == nil {
		return costReport{}, false
	}
	var report costReport
	if n := e.Cost.Requested; n != nil {
		report.requested = number{*n, true}
	}
	if n := e.Cost.Actual; n != nil {
		report.actual = number{*n, true}
	}
	if s := e.Cost.Status; s != nil {
		report.bucket, report.maximum, report.available, report.restore = true, s.Maximum, s.Available, s.Restore
	}
	return report, true
}

// parseUsualCost reads a report in which there is no white space and no member that is not
// known here. It reports false for everything else, JSON or not.
func parseUsualCost(extensions []byte) (report costReport, ok bool) {
	c := cursor{rest: extensions}
	report = c.usualCost()
	return report, !c.failed && len(c.rest) == 0
}

const (
	usualBeginning = `{"data":`
	usualMember    = `,"extensions":`
	// usualEnd is how many bytes from its end on usualMember begins at most.
	usualEnd = 256
)

// parseUsualAnswer reads the report of a whole answer that begins with data and ends with it, as Shopify writes answers, and looks at nothing between.
// It reports false for everything else. What it finds is what the scanner finds in any answer that is JSON: what ends with the last brace
// of an object is a member of its own, and a string has no quote in it that has no backslash before it.
func parseUsualAnswer(answer []byte) (report costReport, ok bool) {
	if !bytes.HasPrefix(answer, []byte(usualBeginning)) {
		return costReport{}, false
	}
	end := answer[max(len(usualBeginning), len(answer)-usualEnd):]
	i := bytes.Index(end, []byte(usualMember))
	if i < 0 {
		return costReport{}, false
	}
	c := cursor{rest: end[i+len(usualMember):]}
	report = c.usualCost()
	c.expect("}")
	return report, !c.failed && len(c.rest) == 0
}

// usualCost takes the value of extensions.
func (c *cursor) usualCost() (report costReport) {
	c.expect(`{"cost":{`)
	for c.more() {
		switch {
		case c.skip(`"requestedQueryCost":`):
			report.requested = number{c.number(), true}
		case c.skip(`"actualQueryCost":null`):
			report.actual = number{}
		case c.skip(`"actualQueryCost":`):
			report.actual = number{c.number(), true}
		case c.skip(`"throttleStatus":{`):
			report.bucket = true
			c.bucket(&report)
		default:
			c.failed = true
		}
	}
	c.expect("}")
	return report
}

// bucket reads the members of throttleStatus.
func (c *cursor) bucket(report *costReport) {
	c.begun = false
	for c.more() {
		switch {
		case c.skip(`"maximumAvailable":`):
			report.maximum = c.number()
		case c.skip(`"currentlyAvailable":`):
			report.available = c.number()
		case c.skip(`"restoreRate":`):
			report.restore = c.number()
		default:
			c.failed = true
		}
	}
	c.begun = true
}

// cursor is a place in a text. After the first thing that was not expected it has failed.
type cursor struct {
	rest   []byte
	begun  bool // a member of the current object has been read
	failed bool
}

// skip takes text if it comes next.
func (c *cursor) skip(text string) bool {
	if len(c.rest) < len(text) || string(c.rest[:len(text)]) != text {
		return false
	}
	c.rest = c.rest[len(text):]
	return true
}

func (c *cursor) expect(text string) { c.failed = !c.skip(text) || c.failed }

// more reports whether another member of the object follows, and takes what is between.
func (c *cursor) more() bool {
	if c.failed || c.skip("}") {
		return false
	}
	if c.begun {
		c.expect(",")
	}
	c.begun = true
	return !c.failed
}

// number takes digits, which a point may divide.
func (c *cursor) number() float64 {
	whole, n := 0.0, 0
	for n < len(c.rest) && c.rest[n] >= '0' && c.rest[n] <= '9' {
		whole = whole*10 + float64(c.rest[n]-'0')
		n++
	}
	if n > 0 && n <= exactDigits && (c.rest[0] != '0' || n == 1) { // which most are, or such a one with .0 behind it
		after := c.rest[n:]
		if len(after) >= 3 && after[0] == '.' && after[1] == '0' && isEnd(after[2]) {
			n, after = n+2, after[2:]
		}
		if len(after) > 0 && isEnd(after[0]) {
			c.rest = c.rest[n:]
			return whole
		}
	}
	return c.anyNumber()
}

// exactDigits is how many digits a whole number may have of which a float64 loses nothing.
const exactDigits = 15

func isEnd(b byte) bool { return b == ',' || b == '}' }

func (c *cursor) anyNumber() float64 {
	n := 0
	for n < len(c.rest) && (c.rest[n] >= '0' && c.rest[n] <= '9' || c.rest[n] == '.') {
		n++
	}
	text := c.rest[:n]
	whole, fraction, divided := bytes.Cut(text, []byte("."))
	value, err := strconv.ParseFloat(string(text), 64)
	if err != nil || len(whole) == 0 || len(whole) > 1 && whole[0] == '0' || divided && len(fraction) == 0 {
		c.failed = true // no JSON, or a number that no float64 holds
	}
	c.rest = c.rest[n:]
	return value
}
