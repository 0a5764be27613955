package shopsim_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"syscall"

	"evergate/internal/shopsim"
)

// The answer to the first request for a token is lost although Shopify has made the token;
// the second request gets one.
func Example() {
	sim := shopsim.New(shopsim.Options{Shops: []shopsim.Shop{{Domain: "acme", Products: 3}}})
	sim.Inject(shopsim.Fault{Kind: shopsim.FaultDrop, Endpoint: shopsim.TokenEndpoint, AfterCommit: true, Count: 1})
	client := &http.Client{Transport: sim.RoundTripper()} // in process; Start listens

	form := url.Values{"grant_type": {"client_credentials"}, "client_id": {shopsim.DefaultClientID}, "client_secret": {shopsim.DefaultClientSecret}}
	_, err := client.PostForm("https://acme.myshopify.com/admin/oauth/access_token", form)
	fmt.Println("lost:", errors.Is(err, syscall.ECONNRESET))

	resp, err := client.PostForm("https://acme.myshopify.com/admin/oauth/access_token", form)
	if err != nil {
		panic(err)
	}
	defer resp.Body.Close()
	var answer struct {
		ExpiresIn int `json:"expires_in"`
	}
	if err := json.NewDecoder(resp.Body).Decode(&answer); err != nil {
		panic(err)
	}
	fmt.Println(resp.StatusCode, answer.ExpiresIn)
	fmt.Println("minted:", sim.Stats().TokensMinted)
	// Output:
	// lost: true
	// 200 86399
	// minted: 2
}
