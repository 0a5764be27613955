"""Prints the title of every product, two per call, then creates one and prints where it is.

The script knows a URL and no token.
"""

import os
import time

import requests

products = os.environ["EVERGATE_URL"] + "/admin/api/2026-10/products.json"
session = requests.Session()


def fetch(method, url, **more):
    response = session.request(method, url, timeout=20, **more)
    response.raise_for_status()
    return response


page = products + "?limit=2"
while page:
    answer = fetch("GET", page)
    for product in answer.json()["products"]:
        print(product["title"])
    page = answer.links.get("next", {}).get("url")
    time.sleep(0.35)

location = fetch("POST", products, json={"product": {"title": "Lamp"}}).headers["Location"]
print(location)
print(fetch("GET", location).json()["product"]["title"])
