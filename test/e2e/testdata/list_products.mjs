// Prints the title of every product, two per call, then creates one and prints where it is.
// The script knows a URL and no token.
import { setTimeout as pause } from "node:timers/promises";

const products = `${process.env.EVERGATE_URL}/admin/api/2026-10/products.json`;

async function call(url, options = {}) {
  const response = await fetch(url, { ...options, signal: AbortSignal.timeout(20_000) });
  if (!response.ok) throw new Error(`${url}: ${response.status} ${await response.text()}`);
  return response;
}

let page = `${products}?limit=2`;
while (page) {
  const response = await call(page);
  for (const product of (await response.json()).products) console.log(product.title);
  page = response.headers.get("link")?.match(/<([^>]*)>; rel="next"/)?.[1];
  await pause(350);
}

const created = await call(products, {
  method: "POST",
  headers: { "Content-Type": "application/json" },
  body: JSON.stringify({ product: { title: "Lamp" } }),
});
const location = created.headers.get("location");
console.log(location);
console.log((await (await call(location)).json()).product.title);
