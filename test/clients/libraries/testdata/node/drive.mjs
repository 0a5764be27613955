// The part that all programs here share: for each line that comes in, they list all products, create one that has the
// line as its title, and ask GraphQL; and say in one line what they have seen.
import { createInterface } from 'node:readline'

export const [url] = process.argv.slice(2)
export const shop = new URL(url).host
export const version = '2026-10'
export const token = process.env.SHOPIFY_ACCESS_TOKEN

export const listQuery = `query($after: String) {
  products(first: 50, after: $after) { nodes { legacyResourceId } pageInfo { hasNextPage endCursor } }
}`
export const createQuery = `mutation($product: ProductCreateInput!) {
  productCreate(product: $product) { product { legacyResourceId } userErrors { message } }
}`
export const shopQuery = '{ shop { myshopifyDomain } }'

// graphql makes the three calls of a way to send a query.
export function graphql(send) {
  return {
    async list() {
      const ids = []
      for (let after = null; ;) {
        const { products } = await send(listQuery, { after })
        ids.push(...products.nodes.map(p => p.legacyResourceId))
        if (!products.pageInfo.hasNextPage) return ids
        after = products.pageInfo.endCursor
      }
    },
    async create(title) {
      const { productCreate } = await send(createQuery, { product: { title } })
      if (productCreate.userErrors.length) throw new Error(productCreate.userErrors[0].message)
      return productCreate.product.legacyResourceId
    },
    async domain() {
      return (await send(shopQuery)).shop.myshopifyDomain
    }
  }
}

export async function drive({ list, create, domain }) {
  for await (const title of createInterface({ input: process.stdin })) {
    const ids = await list()
    const created = await create(title)
    console.log(JSON.stringify({ ids: ids.map(Number), created: Number(created), domain: await domain() }))
  }
}
