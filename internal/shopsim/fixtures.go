package shopsim

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"time"
)

// Fixtures are what the shops have, and answers that take the place of the simulator's own. A list that is not given
// leaves what the options say.
type Fixtures struct {
	given     map[string]bool // which lists
	locations []*fixtureLocation
	products  []*fixtureProduct
	customers []*fixtureCustomer
	orders    []*fixtureOrder
	answers   []*fixtureAnswer
}

type fixtureLocation struct {
	Name string `json:"name"`
}

type fixtureProduct struct {
	productFields

	Variants []*fixtureVariant `json:"variants"`
	fields   map[string]any    // productFields as the REST API takes them
	at       string
}

// productFields are what a product has beside its variants.
type productFields struct {
	Title, Vendor, Handle, Status, Tags string
	BodyHTML                            string `json:"body_html"`
	ProductType                         string `json:"product_type"`
}

type fixtureVariant struct {
	Title, SKU, Barcode string
	Price               json.Number
	CompareAtPrice      json.Number    `json:"compare_at_price"`
	ContinueSelling     bool           `json:"continue_selling"`
	Untracked           bool           `json:"untracked"`
	Inventory           map[string]int // by location
}

type fixtureCustomer struct {
	FirstName string `json:"first_name"`
	LastName  string `json:"last_name"`
	Email     string `json:"email"`
}

type fixtureOrder struct {
	Customer  string         `json:"customer"` // by email
	Fulfilled bool           `json:"fulfilled"`
	CreatedAt time.Time      `json:"created_at"`
	Lines     []*fixtureLine `json:"line_items"`
	at        string
}

type fixtureLine struct {
	SKU      string `json:"sku"`
	Quantity int    `json:"quantity"`
}

// fixtureAnswer is an answer, or several one after the other, for requests of one kind.
type fixtureAnswer struct {
	Method    string            `json:"method"`
	Path      string            `json:"path"`
	Query     map[string]string `json:"query"`
	Operation string            `json:"operation"`
	Variables map[string]any    `json:"variables"`
	Replies   []*fixtureReply   `json:"replies"`
}

type fixtureReply struct {
	Status   int               `json:"status"`
	Header   map[string]string `json:"headers"`
	Body     json.RawMessage   `json:"body"`
	BodyFile string            `json:"body_file"`
	Delay    seconds           `json:"delay"`
	Times    int               `json:"times"`
	body     []byte
	header   http.Header
}

// ReadFixtures reads a file, or all files of a directory whose names end in .json, in their order.
func ReadFixtures(path string) (*Fixtures, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	files := []string{path}
	if info.IsDir() {
		if files, err = filepath.Glob(filepath.Join(path, "*.json")); err != nil || len(files) == 0 {
			return nil, fmt.Errorf("%s has no file whose name ends in .json", path)
		}
	}
	f := newFixtures()
	for _, file := range files {
		text, err := readBounded(file)
		if err != nil {
			return nil, err
		}
		if err := f.read(file, filepath.Dir(file), text); err != nil {
			return nil, err
		}
	}
	return f, f.check()
}

// largestFixture bounds a file in bytes. A device may have no end.
const largestFixture = 64 << 20

func readBounded(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }() // it was only read
	text, err := io.ReadAll(io.LimitReader(f, largestFixture+1))
	if err == nil && len(text) > largestFixture {
		err = fmt.Errorf("%s: want a file of at most %d MiB", path, largestFixture>>20)
	}
	return text, err
}

func newFixtures() *Fixtures { return &Fixtures{given: map[string]bool{}} }

// read adds what a file says. Its directory is where body_file is looked for; "" if there is none.
func (f *Fixtures) read(name, directory string, text []byte) error {
	at, err := f.lists(name, directory, text)
	if err != nil {
		return fmt.Errorf("%s %w", lineAt(name, text, at), err)
	}
	return nil
}

// lineAt says where in a file an offset is.
func lineAt(name string, text []byte, offset int64) string {
	return fmt.Sprintf("%s:%d:", name, 1+bytes.Count(text[:min(offset, int64(len(text)))], []byte("\n")))
}

// lists reads the lists of a file, or says what is wrong and where.
func (f *Fixtures) lists(name, directory string, text []byte) (int64, error) {
	var all map[string]json.RawMessage
	if err := json.Unmarshal(text, &all); err != nil {
		return offsetOf(err, nil), fmt.Errorf("want one JSON object: %w", err)
	}
	dec := json.NewDecoder(bytes.NewReader(text))
	_, _ = dec.Token()
	for dec.More() {
		key, _ := dec.Token()
		list, _ := key.(string)
		if !slices.Contains([]string{"locations", "products", "customers", "orders", "answers"}, list) {
			return dec.InputOffset(), fmt.Errorf("there is no list %q: the lists are locations, products, customers, orders and answers", list)
		}
		if begin, _ := dec.Token(); begin != json.Delim('[') {
			return dec.InputOffset(), fmt.Errorf("%s must be a list: write [ and ]", list)
		}
		f.given[list] = true
		for dec.More() {
			var element json.RawMessage
			if err := dec.Decode(&element); err != nil {
				return dec.InputOffset(), err
			}
			start := dec.InputOffset() - int64(len(element))
			if err := f.add(list, element, lineAt(name, text, start), directory); err != nil {
				return start + offsetOf(err, element), explained(err)
			}
		}
		_, _ = dec.Token()
	}
	return 0, nil
}

// offsetOf is where in a text a mistake is, as far as it says.
func offsetOf(err error, text []byte) int64 {
	var syntax *json.SyntaxError
	var kind *json.UnmarshalTypeError
	switch {
	case errors.As(err, &syntax):
		return syntax.Offset
	case errors.As(err, &kind):
		return kind.Offset
	}
	if _, name, unknown := strings.Cut(err.Error(), "unknown field "); unknown {
		return int64(max(0, bytes.Index(text, []byte(name))))
	}
	return 0
}

// explained says what to do about a mistake that encoding/json found.
func explained(err error) error {
	var kind *json.UnmarshalTypeError
	isKind := errors.As(err, &kind)
	// Go 1.27 has a type for this mistake, and those before a text alone.
	if isKind && kind.Type == reflect.TypeFor[json.Number]() || strings.Contains(err.Error(), "invalid number literal") {
		return errors.New("want a number such as 19.90")
	}
	if isKind {
		wanted := map[reflect.Kind]string{reflect.String: "a string", reflect.Bool: "true or false", reflect.Int: "a whole number", reflect.Slice: "a list"}
		return fmt.Errorf("%s: want %s, not %s", kind.Field[strings.LastIndex(kind.Field, ".")+1:], orDefault(wanted[kind.Type.Kind()], "an object"), kind.Value)
	}
	if _, name, unknown := strings.Cut(err.Error(), "unknown field "); unknown {
		return fmt.Errorf("there is no member %s here: take it out, or spell it as docs/using/simulator.md does", name)
	}
	return err
}

// add reads one element of a list.
func (f *Fixtures) add(list string, text []byte, at, directory string) error {
	var into any
	switch list {
	case "locations":
		l := &fixtureLocation{}
		into, f.locations = l, append(f.locations, l)
	case "products":
		p := &fixtureProduct{at: at}
		into, f.products = p, append(f.products, p)
		_ = json.Unmarshal(text, &p.fields)
	case "customers":
		c := &fixtureCustomer{}
		into, f.customers = c, append(f.customers, c)
	case "orders":
		o := &fixtureOrder{at: at}
		into, f.orders = o, append(f.orders, o)
	case "answers":
		a := &fixtureAnswer{}
		into, f.answers = a, append(f.answers, a)
	}
	if err := strictly(text, into); err != nil {
		return err
	}
	if a, isAnswer := into.(*fixtureAnswer); isAnswer {
		return a.prepare(directory)
	}
	return nil
}

func strictly(text []byte, into any) error {
	dec := json.NewDecoder(bytes.NewReader(text))
	dec.DisallowUnknownFields()
	dec.UseNumber()
	return dec.Decode(into)
}

// prepare refuses answers that could never be given, and reads their bodies.
func (a *fixtureAnswer) prepare(directory string) error {
	switch {
	case a.Path == "" && a.Operation == "":
		return errors.New("an answer needs a path or an operation: say for which requests it is")
	case a.Path != "" && a.Path[0] != '/':
		return fmt.Errorf("path %q: begin with /, such as /admin/api/*/themes.json", a.Path)
	case a.Variables != nil && a.Operation == "":
		return errors.New("variables go with an operation: name it")
	case len(a.Replies) == 0:
		return errors.New(`an answer needs replies, such as [{"status": 502}, {"body": {}}]`)
	}
	for _, r := range a.Replies {
		if r == nil {
			return errors.New("a reply must be an object, such as {\"status\": 502}")
		}
		r.Status = orDefault(r.Status, 200)
		if r.Status < 200 || r.Status > 599 {
			return fmt.Errorf("status %d: want 200 to 599", r.Status)
		}
		if r.Times < 0 || r.Delay < 0 {
			return errors.New("times and delay must not be negative")
		}
		for name, value := range r.Header {
			if strings.Trim(strings.ToLower(name), "abcdefghijklmnopqrstuvwxyz0123456789-") != "" || name == "" || headerSafe("", value) != nil {
				return fmt.Errorf("header %q: want a name of letters, digits and hyphens, and a value of printable ASCII", name)
			}
		}
		if err := r.read(directory); err != nil {
			return err
		}
	}
	return nil
}

// read makes the body of a reply: JSON as it is, the text of a JSON string, or a file.
func (r *fixtureReply) read(directory string) error {
	kind, text := "application/json; charset=utf-8", ""
	switch {
	case r.BodyFile != "" && r.Body != nil:
		return errors.New("body and body_file are two bodies: leave one out")
	case r.BodyFile != "" && directory == "":
		return errors.New("body_file is for files of fixtures: give the body itself")
	case r.BodyFile != "":
		var err error
		if r.body, err = readBounded(filepath.Join(directory, r.BodyFile)); err != nil {
			return err
		}
		if !strings.HasSuffix(r.BodyFile, ".json") {
			kind = "text/plain; charset=utf-8"
		}
	case json.Unmarshal(r.Body, &text) == nil && r.Body[0] == '"':
		r.body = []byte(text)
		kind = "text/plain; charset=utf-8"
	default:
		r.body = r.Body
	}
	r.header = http.Header{"Content-Type": {kind}}
	for name, value := range r.Header {
		r.header.Set(name, value)
	}
	return nil
}

// check refuses what names something that is not there, once all files have been read, by making a shop of it.
func (f *Fixtures) check() error {
	return newShop(Shop{Domain: "check"}, 0).applyFixtures(f)
}
