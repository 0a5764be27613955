-- What the migrations that `rails generate shopify_app:shop_model` writes make of a database, for Rails 8.
CREATE TABLE "shops" (
  "id" bigserial PRIMARY KEY,
  "shopify_domain" character varying NOT NULL,
  "shopify_token" character varying NOT NULL,
  "created_at" timestamp(6) NOT NULL,
  "updated_at" timestamp(6) NOT NULL
);
CREATE UNIQUE INDEX "index_shops_on_shopify_domain" ON "shops" ("shopify_domain");
ALTER TABLE "shops" ADD "access_scopes" character varying DEFAULT '' NOT NULL;
ALTER TABLE "shops" ADD "expires_at" timestamp(6);
ALTER TABLE "shops" ADD "refresh_token" character varying;
ALTER TABLE "shops" ADD "refresh_token_expires_at" timestamp(6);
