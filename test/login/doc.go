// Package login tests the login from outside: the real binary, a real browser, and the simulated Shopify with its
// own page between them. What a person sees is photographed; set LOGIN_SCREENSHOTS to a directory to keep it.
package login
