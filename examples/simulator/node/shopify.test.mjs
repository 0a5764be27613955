import assert from "node:assert/strict";
import test from "node:test";

import { start } from "./shopify.mjs";

// fetchToken stands for the code under test: it asks once more when the answer is a failure.
async function fetchToken(shopify) {
  const form = { grant_type: "client_credentials", client_id: shopify.clientId, client_secret: shopify.clientSecret };
  let answer;
  for (let i = 0; i < 2; i++) {
    answer = await fetch(`${shopify.url}/admin/oauth/access_token`, { method: "POST", body: new URLSearchParams(form) });
    if (answer.ok) return (await answer.json()).access_token;
  }
  throw new Error(`no token: ${answer.status}`);
}

test("a token is fetched although an answer is lost", async (t) => {
  const shopify = await start(t, "--products", "3");
  await shopify.control("faults", { kind: "status", status: 520, endpoint: "token", after_commit: true, count: 1 });

  const headers = { "X-Shopify-Access-Token": await fetchToken(shopify) };
  const answer = await fetch(`${shopify.url}/admin/api/2026-10/products/count.json`, { headers });
  assert.deepEqual(await answer.json(), { count: 3 });
});
