#!/usr/bin/env bash
# Lists all products with curl and jq, creates one, and asks for the shop's name by GraphQL.
set -euo pipefail

url=${SHOPIFY_URL:-https://$SHOPIFY_SHOP}/admin/api/2026-10
header=$(mktemp)
trap 'rm -f "$header"' EXIT

fetch() { # CURL-ARGUMENTS... prints the body and keeps the header
	curl --silent --show-error --fail --dump-header "$header" --header "X-Shopify-Access-Token: $SHOPIFY_ACCESS_TOKEN" "$@"
}

page="$url/products.json?limit=3"
while [ -n "$page" ]; do
	fetch "$page" | jq --raw-output '.products[].title'
	page=$(sed -n 's/^[Ll]ink:.*<\([^>]*\)>; rel="next".*/\1/p' "$header")
done

fetch "$url/products.json" --json '{"product":{"title":"Lamp"}}' | jq --raw-output .product.title
fetch "$url/graphql.json" --json '{"query":"{ shop { name } }"}' | jq --raw-output .data.shop.name
