"""Lists all products with urllib, creates one, and asks for the shop's name by GraphQL."""

import json
import os
import re
from urllib.request import Request, urlopen

url = os.environ.get("SHOPIFY_URL", "https://" + os.environ["SHOPIFY_SHOP"]) + "/admin/api/2026-10"
headers = {"X-Shopify-Access-Token": os.environ["SHOPIFY_ACCESS_TOKEN"], "Content-Type": "application/json"}


def call(address, body=None):
    """Returns the answer's JSON and the address of the next page. With a body it is a POST."""
    data = None if body is None else json.dumps(body).encode()
    with urlopen(Request(address, data, headers), timeout=30) as answer:
        following = re.search('<([^>]*)>; rel="next"', answer.headers.get("Link", ""))
        return json.load(answer), following and following[1]


page = url + "/products.json?limit=3"
while page:
    answer, page = call(page)
    for product in answer["products"]:
        print(product["title"])

print(call(url + "/products.json", {"product": {"title": "Lamp"}})[0]["product"]["title"])
print(call(url + "/graphql.json", {"query": "{ shop { name } }"})[0]["data"]["shop"]["name"])
