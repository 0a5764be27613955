#!/usr/bin/env bash
# Lists all products with wget and jq, creates one, and asks for the shop's name by GraphQL.
set -euo pipefail

url=${SHOPIFY_URL:-https://$SHOPIFY_SHOP}/admin/api/2026-10
header=$(mktemp)
trap 'rm -f "$header"' EXIT

fetch() { # WGET-ARGUMENTS... prints the body and keeps the header
	if ! wget --quiet --server-response --tries 1 --output-document - --header "X-Shopify-Access-Token: $SHOPIFY_ACCESS_TOKEN" "$@" 2>"$header"; then
		cat "$header" >&2
		return 1
	fi
}
post() { fetch --header 'Content-Type: application/json' --post-data "$2" "$1"; }

page="$url/products.json?limit=3"
while [ -n "$page" ]; do
	fetch "$page" | jq --raw-output '.products[].title'
	page=$(sed -n 's/^ *[Ll]ink:.*<\([^>]*\)>; rel="next".*/\1/p' "$header")
done

post "$url/products.json" '{"product":{"title":"Lamp"}}' | jq --raw-output .product.title
post "$url/graphql.json" '{"query":"{ shop { name } }"}' | jq --raw-output .data.shop.name
