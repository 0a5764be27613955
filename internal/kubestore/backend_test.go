package kubestore

import (
	"net/http"
	"strings"
	"testing"

	"evergate/internal/envelope"
	"evergate/internal/store/storetest"
)

// A list that takes longer than the API server remembers goes on in the order of names, so that none comes twice.
func TestListGoesOnWhenItsPlaceIsForgotten(t *testing.T) {
	t.Parallel()
	f, b := newFake(t)
	page := func(next string, names ...string) *http.Response {
		l := secretList{Metadata: listMeta{Continue: next}}
		for _, name := range names {
			shop := shopNamed(t, name)
			r := storetest.Named(name)
			r.Shop = shop.Domain()
			content, err := envelope.Codec{Shop: shop, Keys: b.keys}.Encode(r)
			if err != nil {
				t.Fatal(err)
			}
			m := newMeta(shop)
			m.UID, m.ResourceVersion = "u", name
			l.Items = append(l.Items, secret{Metadata: m, Data: map[string][]byte{recordKey: content}})
		}
		return answerWith(l)
	}
	f.set(func(req *http.Request, _ func() *http.Response) (*http.Response, error) {
		switch req.URL.Query().Get("continue") {
		case "":
			return page("second", "a", "b"), nil
		case "second":
			return answer(http.StatusGone, `{"metadata":{"continue":"from here"},"message":"hunter2"}`), nil
		case "from here":
			return page("third", "c"), nil
		}
		return answer(http.StatusGone, `{"metadata":{},"message":"hunter2"}`), nil
	})
	var got []string
	for listed, err := range b.All(t.Context()) {
		if err != nil {
			if listed.Domain != "" || strings.Contains(err.Error(), "hunter2") {
				t.Errorf("%q: %v", listed.Domain, err)
			}
			got = append(got, "error")
			continue
		}
		got = append(got, storetest.NameOf(listed.Record))
	}
	if strings.Join(got, " ") != "a b c error" {
		t.Errorf("listed %v", got)
	}
}

func TestOneUnreadableRecordHidesNoOther(t *testing.T) {
	t.Parallel()
	f, b := newFake(t)
	good, err := envelope.Codec{Shop: storetest.Shop(), Keys: b.keys}.Encode(storetest.Named("good"))
	if err != nil {
		t.Fatal(err)
	}
	list := secretList{Items: []secret{
		{Metadata: newMeta(shopNamed(t, "beta")), Data: map[string][]byte{recordKey: []byte("hunter2")}},
		{Metadata: newMeta(shopNamed(t, "gamma")), Data: map[string][]byte{recordKey: good}}, // another shop's
		{Metadata: objectMeta{Name: "theirs", Labels: newMeta(storetest.Shop()).Labels}},
		{Metadata: newMeta(storetest.Shop()), Data: map[string][]byte{recordKey: good}},
	}}
	f.set(func(*http.Request, func() *http.Response) (*http.Response, error) { return answerWith(list), nil })
	got := map[string]string{}
	for listed, err := range b.All(t.Context()) {
		got[listed.Domain] = storetest.NameOf(listed.Record)
		if err != nil {
			got[listed.Domain] = err.Error()
		}
	}
	if len(got) != 3 || got["acme.myshopify.com"] != "good" || !strings.Contains(got["beta.myshopify.com"], "damaged") || !strings.Contains(got["gamma.myshopify.com"], "another shop") {
		t.Errorf("listed %v", got)
	}
}
