// Package libraries runs the libraries with which others call Shopify, as they are, through the real binary: each of them lists all pages
// of products, creates products and asks GraphQL while its tokens expire, in every way in which it can be led to Evergate.
// Whether it worked is written into docs/using/clients.md, with the few lines of each program that make its client.
package libraries
