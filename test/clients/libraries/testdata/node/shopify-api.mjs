// The official library. Its two kinds of client are told apart by an argument.
import { drive, graphql, shop, token, url, version } from './drive.mjs'
// snippet
import '@shopify/shopify-api/adapters/node'
import { LogSeverity, Session, shopifyApi } from '@shopify/shopify-api'
import { setAbstractFetchFunc } from '@shopify/shopify-api/runtime'

const shopify = shopifyApi({
  isCustomStoreApp: true,
  adminApiAccessToken: token,
  apiSecretKey: process.env.SHOPIFY_API_SECRET,
  apiVersion: version,
  hostName: 'localhost', // of your own app
  hostScheme: url.startsWith('http:') ? 'http' : 'https', // of the shop as well, for REST
  isEmbeddedApp: false,
  logger: { level: LogSeverity.Error }
})
const session = new Session({ id: 'shop', shop, state: '', isOnline: false, accessToken: token })

// With a base URL alone: the GraphQL client knows no other scheme than https.
if (url.startsWith('http:')) {
  setAbstractFetchFunc((address, options) => fetch(String(address).replace(/^https:\/\/[^/]+/, url), options))
}
// end

const client = new shopify.clients.Graphql({ session })
const calls = graphql(async (query, variables) => (await client.request(query, { variables })).data)
if (process.argv[3] === 'rest') {
  const rest = new shopify.clients.Rest({ session })
  calls.list = async () => {
    const ids = []
    for (let page = { path: 'products', query: { limit: 50, fields: 'id' } }; page;) {
      const { body, pageInfo } = await rest.get(page)
      ids.push(...body.products.map(p => p.id))
      page = pageInfo.nextPage
    }
    return ids
  }
  calls.create = async title => (await rest.post({ path: 'products', data: { product: { title } } })).body.product.id
}
await drive(calls)
