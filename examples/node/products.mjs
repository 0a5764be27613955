// Lists all products with fetch, creates one, and asks for the shop's name by GraphQL.
const { SHOPIFY_URL, SHOPIFY_SHOP, SHOPIFY_ACCESS_TOKEN } = process.env
const url = `${SHOPIFY_URL || `https://${SHOPIFY_SHOP}`}/admin/api/2026-10`

async function call(address, body) {
  const answer = await fetch(address, {
    method: body ? 'POST' : 'GET',
    headers: { 'Content-Type': 'application/json', 'X-Shopify-Access-Token': SHOPIFY_ACCESS_TOKEN },
    body: body && JSON.stringify(body),
    signal: AbortSignal.timeout(30_000)
  })
  if (!answer.ok) throw new Error(`${answer.status}: ${await answer.text()}`)
  return answer
}

for (let page = `${url}/products.json?limit=3`; page;) {
  const answer = await call(page)
  for (const { title } of (await answer.json()).products) console.log(title)
  page = answer.headers.get('Link')?.match(/<([^>]*)>; rel="next"/)?.[1]
}

const created = await (await call(`${url}/products.json`, { product: { title: 'Lamp' } })).json()
console.log(created.product.title)
const answer = await (await call(`${url}/graphql.json`, { query: '{ shop { name } }' })).json()
console.log(answer.data.shop.name)
