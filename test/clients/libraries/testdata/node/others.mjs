// One call with each of several libraries: what is led to Evergate prints the shop's name, anything else why it did not.
// A library's import may change what comes after it: on Node 22, that of undici takes the proxy from fetch. It is the last.
import https from 'node:https'

const address = `${process.argv[2]}/admin/api/2026-10/shop.json`

const request = options => new Promise((resolve, reject) => {
  https.get(address, options, async answer => {
    let text = ''
    for await (const part of answer) text += part
    resolve(JSON.parse(text))
  }).on('error', reject)
})

const libraries = {
  fetch: async () => (await fetch(address)).json(),
  'node:https': () => request({}),
  'node:https with an agent of its own': () => request({ agent: new https.Agent({ keepAlive: true }) }),
  'node-fetch': async () => (await (await import('node-fetch')).default(address)).json(),
  got: async () => (await import('got')).default(address, { retry: { limit: 0 } }).json(),
  'axios 0.27': async () => (await (await import('axios-0')).default.get(address)).data,
  superagent: async () => (await (await import('superagent')).default.get(address)).body,
  undici: async () => (await (await import('undici')).request(address)).body.json()
}

for (const [name, call] of Object.entries(libraries)) {
  try {
    console.log(`${name}: ${(await call()).shop.name}`)
  } catch (error) {
    console.log(`${name}: ${error.cause?.message ?? error.message}`)
  }
}
process.exit() // whatever keeps a connection
