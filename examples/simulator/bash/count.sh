#!/usr/bin/env bash
# Stands for the program under test: it asks for a token, once more if that fails, and counts the products.
set -euo pipefail

curl -sS --fail-with-body "$SIMULATOR_CONTROL_URL/_sim/faults" -d '{"kind":"status","status":520,"endpoint":"token","after_commit":true,"count":1}' >/dev/null

token=$(curl -sS --fail --retry 1 --retry-all-errors "$SIMULATOR_URL/admin/oauth/access_token" -d grant_type=client_credentials \
	-d "client_id=$SHOPIFY_CLIENT_ID" -d "client_secret=$SHOPIFY_CLIENT_SECRET" | sed 's/.*"access_token":"\([^"]*\)".*/\1/')
curl -sS --fail "$SIMULATOR_URL/admin/api/2026-10/products/count.json" -H "X-Shopify-Access-Token: $token"
