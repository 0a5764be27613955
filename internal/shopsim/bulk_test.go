package shopsim

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"mime/multipart"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

const runBulkQuery = `mutation($q: String!) { bulkOperationRunQuery(query: $q) { bulkOperation { id status } userErrors { code field message } } }`

// bulkStatus is what a client polls for.
const bulkStatus = `query($id: ID!) { node(id: $id) { ... on BulkOperation { id type status errorCode objectCount rootObjectCount fileSize url completedAt } } }`

// polled is an operation as a client sees it.
type polled struct {
	ID, Type, Status, ErrorCode, ObjectCount, RootObjectCount, FileSize, URL string
}

func (c *client) poll(id string) polled {
	c.t.Helper()
	var answer struct{ Data struct{ Node polled } }
	a := c.query(bulkStatus, map[string]any{"id": id}, "")
	if err := json.Unmarshal([]byte(a.body), &answer); err != nil {
		c.t.Fatalf("%v: %s", err, a.body)
	}
	return answer.Data.Node
}

// download reads a result, for which no token is needed.
func (c *client) download(url string) answer {
	anonymous := &client{t: c.t, rt: c.rt}
	return anonymous.get(url)
}

func bulkClient(t *testing.T, s *Sim) *client {
	c := newClient(t, s)
	c.token = s.IssueToken("", "", 0)
	return c
}

func TestABulkQueryLeavesLines(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := stockedShop(2, 2, "North", "South")
		c := bulkClient(t, s)
		want(t, c.query(runBulkQuery, map[string]any{"q": `{ products(query: "title:Product*") { edges { node { id title
			variants(first: 1) { nodes { id sku inventoryItem { tracked } } } } } } }`}, ""), 200,
			`{"bulkOperation":{"id":"gid://shopify/BulkOperation/720918","status":"CREATED"},"userErrors":[]}`)
		const id = "gid://shopify/BulkOperation/720918"
		time.Sleep(time.Second)
		if p := c.poll(id); p.Status != "RUNNING" || p.URL != "" || p.ObjectCount != "0" {
			t.Errorf("after a second: %+v", p)
		}
		time.Sleep(time.Second)
		p := c.poll(id)
		if p.Status != "COMPLETED" || p.Type != "QUERY" || p.ObjectCount != "6" || p.RootObjectCount != "2" || !strings.HasPrefix(p.URL, "https://") {
			t.Fatalf("after two seconds: %+v", p)
		}
		a := c.download(p.URL)
		want(t, a, 200)
		const lines = `{"id":"gid://shopify/Product/7000000000001","title":"Product 1"}
{"id":"gid://shopify/ProductVariant/40000000000000","sku":"SKU-00001-1","inventoryItem":{"tracked":true},"__parentId":"gid://shopify/Product/7000000000001"}
{"id":"gid://shopify/ProductVariant/40000000000001","sku":"SKU-00001-2","inventoryItem":{"tracked":true},"__parentId":"gid://shopify/Product/7000000000001"}
{"id":"gid://shopify/Product/7000000000002","title":"Product 2"}
`
		if !strings.HasPrefix(a.body, lines) || a.Header.Get("Content-Type") != "application/jsonl" || fmt.Sprint(len(a.body)) != p.FileSize {
			t.Errorf("the result is of type %s and size %s:\n%s", a.Header.Get("Content-Type"), p.FileSize, a.body)
		}
		want(t, c.query(`{ currentBulkOperation { id status } bulkOperations(first: 5, query: "status:completed") { nodes { id } } bulkOperation(id: "`+id+`") { id } }`, nil, ""), 200,
			`{"currentBulkOperation":{"id":"`+id+`","status":"COMPLETED"},"bulkOperations":{"nodes":[{"id":"`+id+`"}]},"bulkOperation":{"id":"`+id+`"}}`)
		want(t, c.query(`{ currentBulkOperation(type: MUTATION) { id } }`, nil, ""), 200, `{"currentBulkOperation":null}`)
		time.Sleep(bulkResultLife + time.Second)
		want(t, c.download(p.URL), 404, "NoSuchKey")
		if p := c.poll(id); p.Status != "EXPIRED" || p.URL != "" {
			t.Errorf("after a week: %+v", p)
		}
	})
}

func TestWhatIsNoBulkQuery(t *testing.T) {
	c := mintingClient(t, stockedShop(1, 1))
	for document, message := range map[string]string{
		`{`:                 "Invalid bulk query: syntax error",
		`{ spoons { id } }`: "Invalid bulk query: Field 'spoons' doesn't exist",
		`mutation { appUninstall { userErrors { message } } }`: "only a query can be run",
		`{ shop { name } }`: "must contain at least one connection",
		`{ products { nodes { title variants { nodes { id } } } } }`:                                                                                                                  "must select the 'id' field",
		`{ products { nodes { id variants { nodes { id inventoryItem { id inventoryLevels { nodes { id } } } } } } } }`:                                                               "nesting depth",
		`{ a: products { nodes { id } } b: products { nodes { id } } c: products { nodes { id } } d: orders { nodes { id } } e: orders { nodes { id } } f: orders { nodes { id } } }`: "more than 5 connections",
	} {
		want(t, c.query(runBulkQuery, map[string]any{"q": document}, ""), 200, `"bulkOperation":null,"userErrors":[{"code":"INVALID","field":["query"]`, message)
	}
}

func TestBulkOperationsHaveLimits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := stockedShop(1, 1)
		c := bulkClient(t, s)
		query := map[string]any{"q": `{ products { nodes { id } } }`}
		for range maxBulk {
			want(t, c.query(runBulkQuery, query, ""), 200, `"userErrors":[]`)
		}
		want(t, c.query(runBulkQuery, query, ""), 200, "LIMIT_REACHED")
		cancel := func(id int) answer {
			return c.query(fmt.Sprintf(`mutation { bulkOperationCancel(id: "gid://shopify/BulkOperation/%d") { bulkOperation { status } userErrors { message } } }`, id), nil, "")
		}
		want(t, cancel(firstBulkID), 200, `{"bulkOperation":{"status":"CANCELING"},"userErrors":[]}`)
		time.Sleep(2 * time.Second)
		if p := c.poll(gid("BulkOperation", firstBulkID)); p.Status != "CANCELED" || p.URL != "" {
			t.Errorf("canceled: %+v", p)
		}
		want(t, cancel(firstBulkID+1), 200, "cannot be canceled when it is completed")
		want(t, cancel(1), 200, "does not exist")
		want(t, c.query(runBulkQuery, query, ""), 200, `"userErrors":[]`)
	})
}

func TestABulkQueryNeedsItsScopes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := bulkClient(t, simWith(1))
		want(t, c.query(runBulkQuery, map[string]any{"q": `{ orders { nodes { id } } }`}, ""), 200, `"userErrors":[]`)
		time.Sleep(2 * time.Second)
		if p := c.poll(gid("BulkOperation", firstBulkID)); p.Status != "FAILED" || p.ErrorCode != "ACCESS_DENIED" || p.URL != "" {
			t.Errorf("without the scope: %+v", p)
		}
	})
}

// stageLines uploads a file as clients do, and returns its path.
func (c *client) stageLines(lines string) string {
	c.t.Helper()
	var answer struct {
		Data struct {
			StagedUploadsCreate struct {
				StagedTargets []struct {
					URL        string
					Parameters []struct{ Name, Value string }
				}
			}
		}
	}
	a := c.query(`mutation { stagedUploadsCreate(input: [{resource: BULK_MUTATION_VARIABLES, filename: "a/b.jsonl", mimeType: "text/jsonl", httpMethod: POST}]) {
		stagedTargets { url resourceUrl parameters { name value } } userErrors { message } } }`, nil, "")
	if err := json.Unmarshal([]byte(a.body), &answer); err != nil || len(answer.Data.StagedUploadsCreate.StagedTargets) != 1 {
		c.t.Fatalf("%v: %s", err, a.body)
	}
	target := answer.Data.StagedUploadsCreate.StagedTargets[0]
	fields := map[string]string{}
	for _, p := range target.Parameters {
		fields[p.Name] = p.Value
	}
	resp := c.upload(target.URL, fields, lines)
	want(c.t, resp, 201, "<Key>"+fields["key"]+"</Key>")
	return fields["key"]
}

func (c *client) upload(url string, fields map[string]string, file string) answer {
	c.t.Helper()
	var body bytes.Buffer
	form := multipart.NewWriter(&body)
	for name, value := range fields {
		if err := form.WriteField(name, value); err != nil {
			c.t.Fatal(err)
		}
	}
	if file != "" {
		part, err := form.CreateFormFile("file", "b.jsonl")
		if err != nil {
			c.t.Fatal(err)
		}
		if _, err := io.WriteString(part, file); err != nil {
			c.t.Fatal(err)
		}
	}
	if err := form.Close(); err != nil {
		c.t.Fatal(err)
	}
	a, err := (&client{t: c.t, rt: c.rt}).try(http.MethodPost, url, form.FormDataContentType(), body.String())
	if err != nil {
		c.t.Fatal(err)
	}
	return a
}

const runBulkMutation = `mutation($m: String!, $path: String!) { bulkOperationRunMutation(mutation: $m, stagedUploadPath: $path) { bulkOperation { id status } userErrors { code field message } } }`

const bulkPrices = `mutation Call($id: ID!, $v: [ProductVariantsBulkInput!]!) { productVariantsBulkUpdate(productId: $id, variants: $v) { productVariants { sku price } userErrors { message } } }`

func TestABulkMutationRunsForEachLine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := stockedShop(2, 1)
		c := bulkClient(t, s)
		path := c.stageLines(`{"id":"gid://shopify/Product/7000000000001","v":[{"id":"gid://shopify/ProductVariant/40000000000000","price":"3.00"}]}

{"id":"gid://shopify/Product/9","v":[]}
{"id":"gid://shopify/Product/7000000000002"}
`)
		want(t, c.query(runBulkMutation, map[string]any{"m": bulkPrices, "path": path}, ""), 200, `"status":"CREATED"`, `"userErrors":[]`)
		if len(s.Writes()) != 0 {
			t.Error("it was carried out before its time")
		}
		time.Sleep(2 * time.Second)
		p := c.poll(gid("BulkOperation", firstBulkID))
		if p.Status != "COMPLETED" || p.Type != "MUTATION" || p.ObjectCount != "3" || len(s.Writes()) != 1 {
			t.Fatalf("%+v, writes %v", p, s.Writes())
		}
		lines := strings.Split(c.download(p.URL).body, "\n")
		if len(lines) != 4 || lines[0] != `{"data":{"productVariantsBulkUpdate":{"productVariants":[{"sku":"SKU-00001","price":"3.00"}],"userErrors":[]}},"__lineNumber":0}` ||
			!strings.Contains(lines[1], `Product does not exist`) || !strings.Contains(lines[2], `"errors":[{"message":"Variable $v of type`) {
			t.Errorf("lines: %q", lines)
		}
	})
}

func TestWhatIsNoBulkMutation(t *testing.T) {
	c := mintingClient(t, stockedShop(1, 1))
	good := c.stageLines(`{}`)
	for _, tc := range []struct{ mutation, path, code, message string }{
		{`{`, good, "INVALID_MUTATION", "Failed to parse"},
		{`{ shop { id } }`, good, "INVALID_MUTATION", "single top level mutation"},
		{`mutation { a: appUninstall { userErrors { message } } b: appUninstall { userErrors { message } } }`, good, "INVALID_MUTATION", "single top level mutation"},
		{`mutation { appUninstall { userErrors { message } } }`, good, "INVALID_MUTATION", "allowed mutation name"},
		{bulkPrices, "elsewhere", "NO_SUCH_FILE", "could not be found"},
		{bulkPrices, c.stageLines("{}\nx"), "INVALID_STAGED_UPLOAD_FILE", "Line 2"},
	} {
		want(t, c.query(runBulkMutation, map[string]any{"m": tc.mutation, "path": tc.path}, ""), 200, `"code":"`+tc.code+`"`, tc.message)
	}
}

func TestUploads(t *testing.T) {
	s := stockedShop(1, 1)
	c := mintingClient(t, s)
	const url = shopURL + "/staged-uploads/"
	want(t, c.upload(url, map[string]string{"key": "invented"}, "{}"), 403, "AccessDenied")
	want(t, c.upload(url, map[string]string{"key": "invented"}, ""), 400, "exactly one file")
	want(t, c.do(http.MethodPost, url, "{}"), 400, "multipart/form-data")
	a, err := c.try(http.MethodPost, url, "multipart/form-data; boundary=x", "no parts")
	if err != nil {
		t.Fatal(err)
	}
	want(t, a, 400, "MalformedPOSTRequest")
	want(t, c.get(url), 405)
	key := c.stageLines("{}")
	want(t, c.get(url+key), 404) // what was uploaded is not handed out
	for range maxFiles {
		c.stageLines("{}")
	}
	if n := len(s.state.files); n != maxFiles {
		t.Errorf("%d files are kept", n)
	}
	want(t, c.query(runBulkMutation, map[string]any{"m": bulkPrices, "path": key}, ""), 200, "NO_SUCH_FILE")
}

func TestFilesAreServedWhereTheSimulatorListens(t *testing.T) {
	s := stockedShop(1, 1)
	s.Change(func(c *Settings) { c.BulkTime = time.Nanosecond })
	server, err := s.Start("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	c := &client{t: t, rt: server.Client().Transport, token: s.IssueToken("", "", time.Hour)}
	want(t, c.query(runBulkQuery, map[string]any{"q": `{ products { nodes { id } } }`}, ""), 200, `"userErrors":[]`)
	p := c.poll(gid("BulkOperation", firstBulkID))
	if !strings.HasPrefix(p.URL, server.URL+"/bulk-results/") {
		t.Fatalf("%+v", p)
	}
	want(t, c.download(p.URL), 200, `{"id":"gid://shopify/Product/7000000000001"}`)
}
