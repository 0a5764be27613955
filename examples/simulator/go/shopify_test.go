package shopify

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"os/exec"
	"testing"
)

// fetchToken stands for the code under test: it asks once more when an answer is lost.
func fetchToken(s *Simulator) (token string, err error) {
	form := url.Values{"grant_type": {"client_credentials"}, "client_id": {s.ClientID}, "client_secret": {s.ClientSecret}}
	for range 2 {
		var resp *http.Response
		if resp, err = http.PostForm(s.URL+"/admin/oauth/access_token", form); err != nil {
			continue
		}
		defer resp.Body.Close()
		var answer struct {
			Token string `json:"access_token"`
		}
		if err = json.NewDecoder(resp.Body).Decode(&answer); err == nil {
			return answer.Token, nil
		}
	}
	return "", err
}

func TestATokenIsFetchedAlthoughAnAnswerIsLost(t *testing.T) {
	if _, err := exec.LookPath("evergate"); err != nil {
		t.Skip("evergate is not on the PATH")
	}
	s := Start(t, "--products", "3")
	s.Control(t, "faults", `{"kind":"drop","endpoint":"token","after_commit":true,"count":1}`)

	token, err := fetchToken(s)
	if err != nil {
		t.Fatal(err)
	}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.URL+"/admin/api/2026-10/products/count.json", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("X-Shopify-Access-Token", token)
	resp, err := new(http.Client).Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var answer struct{ Count int }
	if err := json.NewDecoder(resp.Body).Decode(&answer); err != nil || answer.Count != 3 {
		t.Error(fmt.Sprint(resp.Status, " ", answer, " ", err))
	}
}
