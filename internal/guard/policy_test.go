package guard

import (
	"net"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"evergate/internal/access"
	"evergate/internal/caller"
	"evergate/internal/denial"
	"evergate/internal/denial/denialtest"
	"evergate/internal/policy"
	"evergate/internal/reload/reloadtest"
	"evergate/internal/request"
	"evergate/internal/shopify"
	"evergate/internal/token"
)

func accessWith(t testing.TB, o access.Options) *access.Access {
	t.Helper()
	a, err := access.New(o)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func admissionWith(t testing.TB, o access.Options) *Admission {
	t.Helper()
	plain := newAdmission(t)
	admission, err := New(Options{Shops: plain.shops, Access: accessWith(t, o)})
	if err != nil {
		t.Fatal(err)
	}
	return admission
}

// call is a request as http.Server makes it.
func call(t testing.TB, method, target, contentType string) *http.Request {
	t.Helper()
	u, err := url.ParseRequestURI(target)
	if err != nil {
		t.Fatal(err)
	}
	r := newRequest("localhost", target)
	r.Method, r.URL = method, u
	if contentType != "" {
		r.Header["Content-Type"], r.ContentLength = []string{contentType}, -1
	}
	return r
}

// judge takes a request through both halves of the judgement.
func judge(t testing.TB, admission *Admission, r *http.Request, body string) (Admitted, error) {
	t.Helper()
	p, err := admission.Admit(view(r))
	if err == nil && p.NeedsBody() {
		err = p.JudgeBody(request.Header(r.Header), []byte(body), true)
	}
	denialtest.Check(t, err)
	denialtest.Check(t, p.Reported)
	return p, err
}

const (
	typeJSON    = "application/json"
	typeGraphQL = "application/graphql"
	graphQL     = "/admin/api/2026-10/graphql.json"
	aRead       = `{"query":"{ shop { name } }"}`
	aChange     = `{"query":"mutation { productUpdate(x: 1) { y } }"}`
	manyGets    = `{"query":"{ shop { name } o: orders { x } __typename }"}`
)

func TestReadOnlyLetsReadsThroughAndNothingElse(t *testing.T) {
	admission := admissionWith(t, access.Options{Policy: policy.ReadOnly})
	for _, c := range []struct{ method, target, contentType, body, code string }{
		{"GET", "/admin/api/2026-10/products.json?limit=3", "", "", ""},
		{"HEAD", "/admin/api/2026-10/products.json", "", "", ""},
		{"GET", "/admin/shop.json", "", "", ""},
		{"GET", shopify.ScopesPath, "", "", ""},
		{"POST", graphQL, typeJSON, aRead, ""},
		{"POST", "/admin/api/graphql.json", typeJSON, aRead, ""},
		{"POST", "/admin/api/unstable/graphql.json", typeGraphQL, "{ shop { name } }", ""},

		{"POST", "/admin/api/2026-10/products.json", typeJSON, "{}", denial.CodeReadOnly},
		{"PUT", "/admin/api/2026-10/products/1.json", typeJSON, "{}", denial.CodeReadOnly},
		{"DELETE", "/admin/api/2026-10/products/1.json", "", "", denial.CodeReadOnly},
		{"PATCH", "/admin/api/2026-10/products/1.json", typeJSON, "{}", denial.CodeReadOnly},
		{"OPTIONS", "/admin/api/2026-10/products/1.json", "", "", denial.CodeReadOnly},
		{"get", "/admin/api/2026-10/products/1.json", "", "", denial.CodeReadOnly},
		{"GETS", "/admin/api/2026-10/products/1.json", "", "", denial.CodeReadOnly},
		{"POST", graphQL, typeJSON, aChange, denial.CodeReadOnly},
		{"POST", graphQL, typeGraphQL, "mutation { a }", denial.CodeReadOnly},

		{"GET", graphQL, "", "", denial.CodeAmbiguousGraphQL},
		{"GET", graphQL + "?query={shop{name}}", "", "", denial.CodeAmbiguousGraphQL},
		{"HEAD", graphQL, "", "", denial.CodeAmbiguousGraphQL},
		{"PUT", graphQL, typeJSON, aRead, denial.CodeAmbiguousGraphQL},
		{"POST", graphQL + "?query=mutation{a}", typeJSON, aRead, denial.CodeAmbiguousGraphQL},
		{"POST", graphQL + "?operationName=M", typeJSON, aRead, denial.CodeAmbiguousGraphQL},
		{"POST", graphQL + "?x", typeJSON, aRead, denial.CodeAmbiguousGraphQL},
		{"POST", graphQL + "?", typeJSON, aRead, ""},
		{"POST", graphQL, "", aRead, denial.CodeAmbiguousGraphQL},
		{"POST", graphQL, "application/x-www-form-urlencoded", "query={a}", denial.CodeAmbiguousGraphQL},
		{"POST", graphQL, typeJSON, "", denial.CodeMalformedGraphQL},

		// What could be GraphQL for someone is not taken for REST.
		{"GET", "/admin/api/2026-10/graphql.json/", "", "", denial.CodeAmbiguousGraphQL},
		{"GET", "/admin/api/2026-10/graphql", "", "", denial.CodeAmbiguousGraphQL},
		{"GET", "/admin/api/2026-10/GraphQL.json", "", "", denial.CodeAmbiguousGraphQL},
		{"GET", "/admin/api/2026-10/%67raphql.json", "", "", denial.CodeAmbiguousGraphQL},
		{"GET", "/admin/api/2026-10/graphql%2ejson", "", "", denial.CodeAmbiguousGraphQL},
		{"GET", "/admin/api/2026-10/graphql;x.json", "", "", denial.CodeAmbiguousGraphQL},
		{"GET", "/admin/graphql.json", "", "", denial.CodeAmbiguousGraphQL},
		{"GET", "/admin/%61pi/2026-10/graphql.json", "", "", denial.CodeAmbiguousGraphQL},
		{"GET", "/admin/api/a%20b/graphql.json", "", "", denial.CodeAmbiguousGraphQL},
		{"GET", "/admin/api/2026-10/graphqlish.json", "", "", ""},
		{"POST", "/admin/oauth/access_token", typeJSON, "{}", denial.CodeDeniedPath},
	} {
		_, err := judge(t, admission, call(t, c.method, c.target, c.contentType), c.body)
		denialtest.Want(t, c.method+" "+c.target+" "+c.body, err, c.code)
	}
}

func TestAHeaderForAnotherMethodIsRefusedWhereMethodsMatter(t *testing.T) {
	for _, header := range []string{"X-Http-Method-Override", "X-Http-Method", "X-Method-Override", "X_http_method_override"} {
		r := call(t, "GET", "/admin/shop.json", "")
		r.Header[header] = []string{"DELETE"}
		_, err := judge(t, admissionWith(t, access.Options{Policy: policy.ReadOnly}), r, "")
		denialtest.Want(t, header, err, denial.CodeAmbiguousMethod)
		_, err = judge(t, newAdmission(t), r, "")
		denialtest.Want(t, header+" under full", err, "")
	}
}

func TestFullLooksIntoNothing(t *testing.T) {
	admission := newAdmission(t)
	for _, c := range []struct{ method, target, contentType string }{
		{"GET", graphQL + "?query={a}", ""}, {"POST", graphQL + "?x=1", "text/plain"}, {"DELETE", "/admin/api/2026-10/products/1.json", ""},
		{"POST", "/admin/api/2026-10/GRAPHQL", "application/x-www-form-urlencoded"},
	} {
		p, err := admission.Admit(view(call(t, c.method, c.target, c.contentType)))
		if err != nil || p.NeedsBody() || p.Reported != nil {
			t.Errorf("%+v: %+v, %+v", c, p, err)
		}
	}
}

func TestNoneLetsNothingThrough(t *testing.T) {
	admission := admissionWith(t, access.Options{Policy: policy.None})
	for _, c := range []struct{ method, target, contentType, body, code string }{
		{"GET", "/admin/shop.json", "", "", denial.CodeDeniedOperation}, {"POST", graphQL, typeJSON, aRead, denial.CodeDeniedOperation},
		{"POST", graphQL, typeJSON, aChange, denial.CodeDeniedOperation}, {"POST", graphQL, typeJSON, `{"query":"{ __typename }"}`, ""},
	} {
		_, err := judge(t, admission, call(t, c.method, c.target, c.contentType), c.body)
		denialtest.Want(t, c.method+" "+c.target+" "+c.body, err, c.code)
	}
}

func TestRulesLetThroughWhatTheyNameAndNothingElse(t *testing.T) {
	admission := admissionWith(t, access.Options{PolicyFile: reloadtest.WriteFile(t, `{"default":"p","policies":{"p":{"base":"none",
		"rest":[{"methods":["GET","POST"],"path":"/admin/api/*/products/*"},{"methods":["DELETE"],"path":"/admin/api/2026-10/orders/**"},{"methods":["PUT","POST","GET"],"path":"/admin/api/**"}],
		"queries":["shop","__schema"],"mutations":["productUpdate"]}}}`)})
	narrow := admissionWith(t, access.Options{PolicyFile: reloadtest.WriteFile(t, `{"default":"p","policies":{"p":{"base":"none",
		"rest":[{"methods":["GET","POST"],"path":"/admin/api/*/products/*"},{"methods":["DELETE"],"path":"/admin/api/2026-10/orders/**"}]}}}`)})
	for _, c := range []struct {
		admission                               *Admission
		method, target, contentType, body, code string
	}{
		{narrow, "GET", "/admin/api/2026-10/products/1.json", "", "", ""},
		{narrow, "GET", "/admin/api/unstable/products/count", "", "", ""},
		{narrow, "POST", "/admin/api/2026-10/products/1.json", typeJSON, "{}", ""},
		{narrow, "POST", "/admin/api/2026-10/products/1.json", "", "", ""},
		{narrow, "DELETE", "/admin/api/2026-10/orders/1/refunds/2.json", "", "", ""},
		{narrow, "HEAD", "/admin/api/2026-10/products/1.json", "", "", denial.CodeDeniedOperation},
		{narrow, "PUT", "/admin/api/2026-10/products/1.json", typeJSON, "{}", denial.CodeDeniedOperation},
		{narrow, "GET", "/admin/api/2026-10/products.json", "", "", denial.CodeDeniedOperation},
		{narrow, "GET", "/admin/api/2026-10/products/1/images.json", "", "", denial.CodeDeniedOperation},
		{narrow, "GET", "/admin/api/2026-10/products/1/", "", "", denial.CodeDeniedOperation},
		{narrow, "GET", "/admin/api/2026-10/products/", "", "", denial.CodeDeniedOperation},
		{narrow, "GET", "/admin/api/2026-10/%70roducts/1.json", "", "", denial.CodeDeniedOperation},
		{narrow, "GET", "/admin/api/products/1.json", "", "", denial.CodeDeniedOperation},
		{narrow, "GET", "/admin/products/1.json", "", "", denial.CodeDeniedOperation},
		{narrow, "DELETE", "/admin/api/2026-07/orders/1.json", "", "", denial.CodeDeniedOperation},
		{narrow, "DELETE", "/admin/api/2026-10/orders", "", "", denial.CodeDeniedOperation},
		{narrow, "DELETE", "/admin/api/2026-10/orders/", "", "", denial.CodeDeniedOperation},
		{narrow, "POST", graphQL, typeJSON, aRead, denial.CodeDeniedOperation},
		// A form may name another method.
		{narrow, "POST", "/admin/api/2026-10/products/1.json", "application/x-www-form-urlencoded", "_method=delete", denial.CodeAmbiguousMethod},
		{narrow, "POST", "/admin/api/2026-10/products/1.json", "multipart/form-data; boundary=x", "", denial.CodeAmbiguousMethod},
		{narrow, "POST", "/admin/api/2026-10/products/1.json", "application/json; charset=utf-16", "", denial.CodeAmbiguousMethod},

		// No pattern reaches GraphQL.
		{admission, "POST", graphQL, typeJSON, aRead, ""},
		{admission, "POST", graphQL, typeJSON, aChange, ""},
		{admission, "POST", graphQL, typeJSON, `{"query":"{ ...A } fragment A on Q { a: shop { x } __schema { y } __typename }"}`, ""},
		{admission, "POST", graphQL, typeJSON, manyGets, denial.CodeDeniedOperation},
		{admission, "POST", graphQL, typeJSON, `{"query":"{ shop: orders { x } }"}`, denial.CodeDeniedOperation},
		{admission, "POST", graphQL, typeJSON, `{"query":"{ ...A } fragment A on Q { orders { x } }"}`, denial.CodeDeniedOperation},
		{admission, "POST", graphQL, typeJSON, `{"query":"mutation { shop }"}`, denial.CodeDeniedOperation},
		{admission, "POST", graphQL, typeJSON, `{"query":"{ productUpdate }"}`, denial.CodeDeniedOperation},
		{admission, "POST", graphQL, typeJSON, `{"query":"{ __type(name: \"X\") { x } }"}`, denial.CodeDeniedOperation},
		{admission, "PUT", graphQL, typeJSON, aRead, denial.CodeAmbiguousGraphQL},
		{admission, "POST", "/admin/api/2026-10/graphql", typeJSON, aChange, denial.CodeAmbiguousGraphQL},
	} {
		_, err := judge(t, c.admission, call(t, c.method, c.target, c.contentType), c.body)
		denialtest.Want(t, c.method+" "+c.target+" "+c.contentType+" "+c.body, err, c.code)
	}
}

func TestReadOnlyMayListSomeChanges(t *testing.T) {
	admission := admissionWith(t, access.Options{PolicyFile: reloadtest.WriteFile(t, `{"default":"p","policies":{"p":{"base":"read-only",
		"rest":[{"methods":["PUT"],"path":"/admin/api/*/products/*"}],"mutations":["productUpdate"]}}}`)})
	for _, c := range []struct{ method, target, contentType, body, code string }{
		{"GET", "/admin/api/2026-10/orders.json", "", "", ""},
		{"PUT", "/admin/api/2026-10/products/1.json", typeJSON, "{}", ""},
		{"PUT", "/admin/api/2026-10/orders/1.json", typeJSON, "{}", denial.CodeDeniedOperation},
		{"POST", graphQL, typeJSON, manyGets, ""},
		{"POST", graphQL, typeJSON, aChange, ""},
		{"POST", graphQL, typeJSON, `{"query":"mutation { productUpdate productDelete }"}`, denial.CodeDeniedOperation},
	} {
		_, err := judge(t, admission, call(t, c.method, c.target, c.contentType), c.body)
		denialtest.Want(t, c.method+" "+c.target+" "+c.body, err, c.code)
	}
}

// What a policy would refuse is the same whether it enforces or reports.
func TestReportingRefusesNothingAndSaysWhatWouldBe(t *testing.T) {
	const policy = `{"default":"p","policies":{"p":{"base":"read-only","mutations":["x"],"mode":"MODE"}}}`
	report := admissionWith(t, access.Options{PolicyFile: reloadtest.WriteFile(t, strings.Replace(policy, "MODE", "report", 1))})
	enforce := admissionWith(t, access.Options{PolicyFile: reloadtest.WriteFile(t, strings.Replace(policy, "MODE", "enforce", 1))})
	for _, c := range []struct{ method, target, contentType, body string }{
		{"GET", "/admin/shop.json", "", ""}, {"DELETE", "/admin/api/2026-10/products/1.json", "", ""}, {"POST", graphQL, typeJSON, aRead},
		{"POST", graphQL, typeJSON, aChange}, {"POST", graphQL, typeJSON, "nonsense"}, {"GET", graphQL, "", ""}, {"POST", graphQL + "?a", typeJSON, aRead},
	} {
		p, err := judge(t, report, call(t, c.method, c.target, c.contentType), c.body)
		_, enforced := judge(t, enforce, call(t, c.method, c.target, c.contentType), c.body)
		if err != nil || *denialtest.Of(t, p.Reported) != *denialtest.Of(t, enforced) {
			t.Errorf("%+v: %+v, reported %+v, enforced %+v", c, err, p.Reported, enforced)
		}
	}
	_, err := judge(t, report, call(t, "POST", "/admin/oauth/access_token", typeJSON), "")
	denialtest.Want(t, "the path policy is no matter of it", err, denial.CodeDeniedPath)
}

func TestABodyThatIsNotWholeIsTooLarge(t *testing.T) {
	admission := admissionWith(t, access.Options{Policy: policy.ReadOnly})
	r := call(t, "POST", graphQL, typeJSON)
	p, _ := admission.Admit(view(r))
	denialtest.Want(t, "half a body", p.JudgeBody(request.Header(r.Header), []byte(aRead), false), denial.CodeGraphQLTooLarge)
}

// The price of policies is paid by those who have one.
func TestAPassageUnderFullAllocatesNothing(t *testing.T) {
	a := accessWith(t, access.Options{})
	admission, err := New(Options{Shops: newAdmission(t).shops, Access: a})
	if err != nil {
		t.Fatal(err)
	}
	r := call(t, "POST", graphQL, typeJSON)
	r.Header["X-Shopify-Access-Token"] = []string{"shpat_00000000000000000000000000000000"}
	l := caller.Listener(nil, false, token.Shop{})
	r = r.WithContext(a.ConnContext(a.BaseContext(l), &net.TCPConn{}))
	if n := testing.AllocsPerRun(100, func() {
		v := request.Of(r)
		p, err := admission.Admit(&v)
		if err != nil || p.NeedsBody() || p.Caller.Key == nil || p.Caller.Name != caller.Anonymous {
			t.Fatalf("%+v, %+v", p, err)
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
