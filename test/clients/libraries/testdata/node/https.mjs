import { drive, graphql, token, url, version } from './drive.mjs'
// snippet
import http from 'node:http'
import https from 'node:https'

const call = (path, body) => new Promise((resolve, reject) => {
  const address = new URL(path, `${url}/admin/api/${version}/`)
  const request = (address.protocol === 'http:' ? http : https).request(address, {
    method: body ? 'POST' : 'GET',
    headers: { 'Content-Type': 'application/json', 'X-Shopify-Access-Token': token }
  })
  request.on('error', reject).on('response', async answer => {
    let text = ''
    for await (const part of answer.setEncoding('utf8')) text += part
    answer.statusCode < 300 ? resolve({ headers: answer.headers, body: JSON.parse(text) }) : reject(new Error(text))
  })
  request.end(body && JSON.stringify(body))
})
// end

await drive({
  ...graphql(async (query, variables) => (await call('graphql.json', { query, variables })).body.data),
  async list() {
    const ids = []
    for (let next = 'products.json?limit=50&fields=id'; next;) {
      const { headers, body } = await call(next)
      ids.push(...body.products.map(p => p.id))
      next = headers.link?.match(/<([^>]+)>; rel="next"/)?.[1]
    }
    return ids
  },
  create: async title => (await call('products.json', { product: { title } })).body.product.id
})
