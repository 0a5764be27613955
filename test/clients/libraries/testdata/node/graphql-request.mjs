import { drive, graphql, token, url, version } from './drive.mjs'
// snippet
import { GraphQLClient } from 'graphql-request'

const client = new GraphQLClient(`${url}/admin/api/${version}/graphql.json`, {
  headers: { 'X-Shopify-Access-Token': token }
})
// end

await drive(graphql((query, variables) => client.request(query, variables)))
