import { drive, graphql, shop, token, url, version } from './drive.mjs'
// snippet
import Shopify from 'shopify-api-node'

const shopify = new Shopify({ shopName: shop, accessToken: token, apiVersion: version })

// With a base URL alone: there is no option for it.
if (url.startsWith('http:')) {
  const { protocol, hostname, port } = new URL(url)
  shopify.baseUrl = { protocol, hostname, port }
}
// end

await drive({
  ...graphql((query, variables) => shopify.graphql(query, variables)),
  async list() {
    const ids = []
    for (let params = { limit: 50, fields: 'id' }; params;) {
      const page = await shopify.product.list(params)
      ids.push(...page.map(p => p.id))
      params = page.nextPageParameters
    }
    return ids
  },
  create: async title => (await shopify.product.create({ title })).id
})
