#!/usr/bin/env bash
# Prints the title of every product, two per call, then creates one and prints where it is.
# The script knows a URL and no token.
set -euo pipefail

header=$(mktemp)
trap 'rm -f "$header"' EXIT

# fetch CURL-ARGUMENTS... prints the body and keeps the header.
fetch() { curl --silent --show-error --fail --dump-header "$header" "$@"; }

# field NAME prints a field of the header that was kept.
field() { tr -d '\r' <"$header" | awk -v name="$1:" 'tolower($1) == name { sub(/^[^ ]* /, ""); print }'; }

titles() { grep -o '"title":"[^"]*"' | cut -d '"' -f 4; }

products=$EVERGATE_URL/admin/api/2026-10/products.json
page="$products?limit=2&fields=title" # a variant has a title, too
while [ -n "$page" ]; do
  fetch "$page" | titles
  page=$(field link | sed -n 's/.*<\([^>]*\)>; rel="next".*/\1/p')
  sleep 0.35
done

fetch "$products" --header 'Content-Type: application/json' --data '{"product":{"title":"Lamp"}}' >/dev/null
location=$(field location)
echo "$location"
fetch "$location?fields=title" | titles
