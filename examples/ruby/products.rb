# frozen_string_literal: true

# Lists all products with Net::HTTP, creates one, and asks for the shop's name by GraphQL.

require 'json'
require 'net/http'

URL = "#{ENV['SHOPIFY_URL'] || "https://#{ENV.fetch('SHOPIFY_SHOP')}"}/admin/api/2026-10"
HEADER = { 'X-Shopify-Access-Token' => ENV.fetch('SHOPIFY_ACCESS_TOKEN'), 'Content-Type' => 'application/json' }.freeze

# With a body it is a POST.
def call(address, body = nil)
  uri = URI(address)
  request = body ? Net::HTTP::Post.new(uri, HEADER) : Net::HTTP::Get.new(uri, HEADER)
  request.body = JSON.generate(body) if body
  answer = Net::HTTP.start(uri.host, uri.port, use_ssl: uri.scheme == 'https') { |http| http.request(request) }
  answer.value # raises unless all is well
  answer
end

page = "#{URL}/products.json?limit=3"
while page
  answer = call(page)
  JSON.parse(answer.body)['products'].each { |product| puts product['title'] }
  page = answer['Link'].to_s[/<([^>]*)>; rel="next"/, 1]
end

puts JSON.parse(call("#{URL}/products.json", { product: { title: 'Lamp' } }).body).dig('product', 'title')
puts JSON.parse(call("#{URL}/graphql.json", { query: '{ shop { name } }' }).body).dig('data', 'shop', 'name')
