// Package browser tests what people see, from outside: the real binary and a real browser. For the login, the
// simulated Shopify with its own page stands between them; the status page is looked at while it lives. What is
// seen is photographed; set BROWSER_SCREENSHOTS to a directory to keep it.
package browser
