// Command products lists all products, creates one, and asks for the shop's name by GraphQL. It is one file: go run main.go.
package main

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"regexp"
	"strings"
	"time"
)

var (
	url    = cmp.Or(os.Getenv("SHOPIFY_URL"), "https://"+os.Getenv("SHOPIFY_SHOP")) + "/admin/api/2026-10"
	client = &http.Client{Timeout: 30 * time.Second}
	next   = regexp.MustCompile(`<([^>]*)>; rel="next"`)
)

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run() error {
	for page := url + "/products.json?limit=3"; page != ""; {
		var answer struct{ Products []struct{ Title string } }
		header, err := call("GET", page, "", &answer)
		if err != nil {
			return err
		}
		for _, product := range answer.Products {
			fmt.Println(product.Title)
		}
		page = ""
		if found := next.FindStringSubmatch(header.Get("Link")); found != nil {
			page = found[1]
		}
	}
	var created struct{ Product struct{ Title string } }
	if _, err := call("POST", url+"/products.json", `{"product":{"title":"Lamp"}}`, &created); err != nil {
		return err
	}
	fmt.Println(created.Product.Title)
	var answer struct {
		Data struct{ Shop struct{ Name string } }
	}
	if _, err := call("POST", url+"/graphql.json", `{"query":"{ shop { name } }"}`, &answer); err != nil {
		return err
	}
	fmt.Println(answer.Data.Shop.Name)
	return nil
}

// call reads an answer's JSON into a value and returns its header.
func call(method, address, body string, into any) (http.Header, error) {
	r, err := http.NewRequestWithContext(context.Background(), method, address, strings.NewReader(body))
	if err != nil {
		return nil, err
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("X-Shopify-Access-Token", os.Getenv("SHOPIFY_ACCESS_TOKEN"))
	answer, err := client.Do(r)
	if err != nil {
		return nil, err
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		return nil, err
	}
	if answer.StatusCode >= 300 {
		return nil, fmt.Errorf("%s: %s", answer.Status, text)
	}
	return answer.Header, json.Unmarshal(text, into)
}
