"""Lists all products with requests, creates one, and asks for the shop's name by GraphQL."""

import os

import requests

url = os.environ.get("SHOPIFY_URL", "https://" + os.environ["SHOPIFY_SHOP"]) + "/admin/api/2026-10"
session = requests.Session()
session.headers["X-Shopify-Access-Token"] = os.environ["SHOPIFY_ACCESS_TOKEN"]


def call(method, address, **more):
    answer = session.request(method, address, timeout=30, **more)
    answer.raise_for_status()
    return answer


page = url + "/products.json?limit=3"
while page:
    answer = call("GET", page)
    for product in answer.json()["products"]:
        print(product["title"])
    page = answer.links.get("next", {}).get("url")

print(call("POST", url + "/products.json", json={"product": {"title": "Lamp"}}).json()["product"]["title"])
print(call("POST", url + "/graphql.json", json={"query": "{ shop { name } }"}).json()["data"]["shop"]["name"])
