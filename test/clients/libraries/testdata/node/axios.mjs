import { drive, graphql, token, url, version } from './drive.mjs'
// snippet
import axios from 'axios'

const shopify = axios.create({
  baseURL: `${url}/admin/api/${version}`,
  headers: { 'X-Shopify-Access-Token': token }
})
// end

await drive({
  ...graphql(async (query, variables) => (await shopify.post('graphql.json', { query, variables })).data.data),
  async list() {
    const ids = []
    for (let next = 'products.json?limit=50&fields=id'; next;) {
      const { headers, data } = await shopify.get(next)
      ids.push(...data.products.map(p => p.id))
      next = headers.link?.match(/<([^>]+)>; rel="next"/)?.[1]
    }
    return ids
  },
  create: async title => (await shopify.post('products.json', { product: { title } })).data.product.id
})
