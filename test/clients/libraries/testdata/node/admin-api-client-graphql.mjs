import { drive, graphql, shop, token, url, version } from './drive.mjs'
// snippet
import { createAdminApiClient } from '@shopify/admin-api-client'

const client = createAdminApiClient({
  storeDomain: shop,
  apiVersion: version,
  accessToken: token,
  // With a base URL alone: this client knows no other scheme than https.
  ...(url.startsWith('http:') && {
    customFetchApi: (address, options) => fetch(address.replace(/^https:\/\/[^/]+/, url), options)
  })
})
// end

await drive(graphql(async (query, variables) => {
  const { data, errors } = await client.request(query, { variables })
  if (errors) throw new Error(JSON.stringify(errors))
  return data
}))
