package pgstore

import "fmt"

// shape is how an app's table holds sessions. All of it is SQL; t is the table's row, $1 a shop's domain.
type shape struct {
	layout, table string
	// key is the column that is unique; find its value for a shop, and domain a shop's name of a row.
	key, find, domain string
	// offline is true of the rows of shops, and not of people.
	offline string
	// access and the others are columns.
	access, refresh, scope, ends, refreshEnds string
	// readEnds and readRefreshEnds make milliseconds since 1970 of the columns, and write makes what the column holds of them.
	readEnds, readRefreshEnds             string
	writeEnds, writeRefreshEnds           func(milliseconds string) string
	latestEnd                             int64 // milliseconds
	insert, values, touched, touchedValue string
	// sequence is that of the rows' numbers.
	sequence string
	// migration is what adds the columns that an older table lacks, for people.
	migration string
}

// Prisma and Rails keep moments in UTC without a zone, in a session whose zone is UTC.
func readMoment(column string) string { return "(extract(epoch FROM t." + column + ") * 1000)::bigint" }

func writeMoment(milliseconds string) string {
	return fmt.Sprintf("'epoch'::timestamp + interval '1 millisecond' * %s::bigint", milliseconds)
}

var shapes = map[string]shape{
	LayoutPrisma: {
		layout: LayoutPrisma, table: `"Session"`,
		key: `id`, find: `'offline_' || $1::text`, domain: `substr(t.id, 9)`, offline: `t.id LIKE 'offline\_%' AND NOT t."isOnline"`,
		access: `"accessToken"`, refresh: `"refreshToken"`, scope: `scope`, ends: `expires`, refreshEnds: `"refreshTokenExpires"`,
		readEnds: readMoment(`expires`), readRefreshEnds: readMoment(`"refreshTokenExpires"`), writeEnds: writeMoment, writeRefreshEnds: writeMoment,
		latestEnd: latest / 1000,
		insert:    `id, shop, state, "isOnline"`, values: `'offline_' || $1::text, $1::text, '', false`,
		migration: `add "refreshToken String?" and "refreshTokenExpires DateTime?" to the model Session in prisma/schema.prisma and run: npx prisma migrate dev --name expiring-tokens`,
	},
	LayoutShopify: {
		layout: LayoutShopify, table: `shopify_sessions`,
		key: `id`, find: `'offline_' || $1::text`, domain: `substr(t.id, 9)`, offline: `t.id LIKE 'offline\_%' AND NOT t."isOnline"`,
		access: `"accessToken"`, refresh: `"refreshToken"`, scope: `scope`, ends: `expires`, refreshEnds: `"refreshTokenExpires"`,
		readEnds: `t.expires::bigint * 1000`, readRefreshEnds: `t."refreshTokenExpires"::bigint`,
		writeEnds:        func(ms string) string { return "(" + ms + "::bigint / 1000)::integer" },
		writeRefreshEnds: func(ms string) string { return ms + "::bigint" },
		latestEnd:        (1<<31 - 1) * 1000,
		insert:           `id, shop, state, "isOnline"`, values: `'offline_' || $1::text, $1::text, '', false`,
		migration: `update @shopify/shopify-app-session-storage-postgresql, which adds them when the app starts, or run: ALTER TABLE shopify_sessions ADD COLUMN IF NOT EXISTS "refreshToken" varchar(255), ADD COLUMN IF NOT EXISTS "refreshTokenExpires" bigint`,
	},
	LayoutRails: {
		layout: LayoutRails, table: `shops`,
		// The gem compares names in any case; the index does not.
		key: `shopify_domain`, find: `coalesce((SELECT shopify_domain FROM shops WHERE shopify_domain = $1::text), (SELECT min(shopify_domain) FROM shops WHERE lower(shopify_domain) = $1::text))`,
		domain: `lower(t.shopify_domain)`, offline: `true`,
		access: `shopify_token`, refresh: `refresh_token`, scope: `access_scopes`, ends: `expires_at`, refreshEnds: `refresh_token_expires_at`,
		readEnds: readMoment(`expires_at`), readRefreshEnds: readMoment(`refresh_token_expires_at`), writeEnds: writeMoment, writeRefreshEnds: writeMoment,
		latestEnd: latest / 1000,
		insert:    `shopify_domain`, values: `$1::text`, touched: `updated_at`, touchedValue: `clock_timestamp()`, sequence: `shops_id_seq`,
		migration: `run: rails generate shopify_app:shop_model (it asks for the columns of expiring tokens), and rails db:migrate`,
	},
}

// optional are columns that older tables may lack and Evergate does without.
var optional = map[string]bool{"access_scopes": true, "updated_at": true, "created_at": true}
