import { drive, graphql, token, url, version } from './drive.mjs'

// snippet
const call = async (path, options = {}) => {
  const answer = await fetch(new URL(path, `${url}/admin/api/${version}/`), {
    ...options,
    headers: { 'Content-Type': 'application/json', 'X-Shopify-Access-Token': token }
  })
  if (!answer.ok) throw new Error(`${answer.status}: ${await answer.text()}`)
  return answer
}
// end

const post = async (path, body) => (await call(path, { method: 'POST', body: JSON.stringify(body) })).json()

await drive({
  ...graphql(async (query, variables) => (await post('graphql.json', { query, variables })).data),
  async list() {
    const ids = []
    for (let next = 'products.json?limit=50&fields=id'; next;) {
      const answer = await call(next)
      ids.push(...(await answer.json()).products.map(p => p.id))
      next = answer.headers.get('Link')?.match(/<([^>]+)>; rel="next"/)?.[1] // the whole address
    }
    return ids
  },
  create: async title => (await post('products.json', { product: { title } })).product.id
})
