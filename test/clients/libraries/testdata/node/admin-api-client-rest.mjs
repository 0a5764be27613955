import { drive, graphql, shop, token, url, version } from './drive.mjs'
// snippet
import { createAdminRestApiClient } from '@shopify/admin-api-client'

const client = createAdminRestApiClient({
  storeDomain: shop, // or localhost:8080
  scheme: url.startsWith('http:') ? 'http' : 'https',
  apiVersion: version,
  accessToken: token
})
// end

async function read(answer) {
  if (!answer.ok) throw new Error(`${answer.status}: ${await answer.text()}`)
  return answer.json()
}

await drive({
  ...graphql(async (query, variables) => (await read(await client.post('graphql', { data: { query, variables } }))).data),
  async list() {
    const ids = []
    for (let searchParams = { limit: 50, fields: 'id' }; searchParams;) {
      const answer = await client.get('products', { searchParams })
      ids.push(...(await read(answer)).products.map(p => p.id))
      const next = answer.headers.get('Link')?.match(/<([^>]+)>; rel="next"/)?.[1]
      searchParams = next && Object.fromEntries(new URL(next).searchParams)
    }
    return ids
  },
  create: async title => (await read(await client.post('products', { data: { product: { title } } }))).product.id
})
