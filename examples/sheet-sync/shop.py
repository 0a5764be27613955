"""What the shop has, and how it is changed. All of GraphQL is here."""

import json
from decimal import Decimal
from typing import Any, Dict, Iterable, List, NamedTuple, Optional

from client import Client, Unknown

MOST_POINTS = 900  # a query may cost 1000
PRODUCTS_PER_CALL = 10  # a mutation costs 10 points

STALE = {"CHANGE_FROM_QUANTITY_STALE", "COMPARE_QUANTITY_STALE"}


class Variant(NamedTuple):
    id: str
    product: str
    sku: str
    price: Decimal
    item: str
    tracked: bool
    quantities: Dict[str, Optional[int]]  # by the location's id; None: not stocked there


class Write(NamedTuple):
    """One change: of a price, or of a quantity at a location."""
    sku: str
    what: str  # "price", or a location's id
    of: str  # the variant's id, or the inventory item's
    product: str
    before: str
    after: str


class Refusal(NamedTuple):
    """Shopify says no to a write. stale means that the quantity is not what it was when it was read."""
    write: Write
    message: str
    stale: bool


class Shop:
    def __init__(self, client: Client):
        self.client = client

    def locations(self) -> Dict[str, str]:
        """The names of the active locations by their ids."""
        found: Dict[str, str] = {}
        for page in self.pages("query($n: Int!, $after: String) { locations(first: $n, after: $after) "
                               "{ nodes { id name } pageInfo { hasNextPage endCursor } } }", {"n": 250}, "locations"):
            for node in page:
                found[node["id"]] = node["name"]
        return found

    def pages(self, query: str, variables: Dict[str, Any], name: str) -> Iterable[List[Dict[str, Any]]]:
        after = None
        while True:
            connection = self.client.read(query, {**variables, "after": after})[name]
            yield connection["nodes"]
            if not connection["pageInfo"]["hasNextPage"]:
                return
            after = connection["pageInfo"]["endCursor"]

    def by_skus(self, skus: List[str], locations: List[str]) -> List[Variant]:
        """The variants that have one of the SKUs."""
        query = ("query($n: Int!, $after: String, $q: String!) { productVariants(first: $n, after: $after, query: $q) "
                 "{ nodes { %s } pageInfo { hasNextPage endCursor } } }" % fields(locations))
        # What is asked for has to be in the bucket, so no more is than there should be. If SKUs are used twice there
        # are more pages.
        size = min(len(skus) + 1, most(locations))
        wanted = set(skus)
        search = " OR ".join("sku:" + quoted(sku) for sku in skus)
        found = []
        for page in self.pages(query, {"n": size, "q": search}, "productVariants"):
            found += [variant(node, locations) for node in page]
        return [v for v in found if v.sku in wanted]  # the search does not mind case

    def again(self, ids: List[str], locations: List[str]) -> List[Variant]:
        """The same variants as they are now, without the search, whose index may be late."""
        query = "query($ids: [ID!]!) { nodes(ids: $ids) { ... on ProductVariant { %s } } }" % fields(locations)
        size = most(locations)
        found = []
        for start in range(0, len(ids), size):
            nodes = self.client.read(query, {"ids": ids[start:start + size]})["nodes"]
            found += [variant(node, locations) for node in nodes if node]
        return found

    def set_prices(self, writes: List[Write]) -> List[Refusal]:
        """Sets prices, of a few products in one call. Those of one product are set together or not at all."""
        products: Dict[str, List[Write]] = {}
        for w in writes:
            products.setdefault(w.product, []).append(w)
        declared, calls, variables = [], [], {}
        for i, (product, of) in enumerate(products.items()):
            declared.append(f"$p{i}: ID!, $v{i}: [ProductVariantsBulkInput!]!")
            calls.append(f"m{i}: productVariantsBulkUpdate(productId: $p{i}, variants: $v{i}) {{ userErrors {{ code field message }} }}")
            variables[f"p{i}"] = product
            variables[f"v{i}"] = [{"id": w.of, "price": w.after} for w in of]
        data = self.client.once("mutation(%s) { %s }" % (", ".join(declared), " ".join(calls)), variables)
        refusals = []
        for i, of in enumerate(products.values()):
            refusals += refused(of, (data.get(f"m{i}") or {}).get("userErrors", []), ["variants"])
        return refusals

    def set_quantities(self, writes: List[Write], key: str) -> List[Refusal]:
        """Sets quantities, all or none, each only if it is still what it was. The same key and the same writes take
        effect once, however often they are sent."""
        data = self.client.once(
            "mutation($input: InventorySetQuantitiesInput!, $key: String!) { inventorySetQuantities(input: $input) "
            "@idempotent(key: $key) { userErrors { code field message } } }",
            {"key": key, "input": {
                "name": "available", "reason": "correction", "referenceDocumentUri": f"sheet-sync://run/{key}",
                "quantities": [{"inventoryItemId": w.of, "locationId": w.what, "quantity": int(w.after),
                                "changeFromQuantity": int(w.before)} for w in writes]}})
        errors = (data["inventorySetQuantities"] or {}).get("userErrors", [])
        if any(error.get("code") == "IDEMPOTENCY_CONCURRENT_REQUEST" for error in errors):
            raise Unknown("the same call is still being carried out")
        return refused(writes, errors, ["input", "quantities"])


def fields(locations: List[str]) -> str:
    levels = " ".join(f"l{i}: inventoryLevel(locationId: {json.dumps(location)}) {{ quantities(names: [\"available\"]) {{ quantity }} }}"
                      for i, location in enumerate(locations))
    return "id sku price product { id } inventoryItem { id tracked %s }" % levels


def most(locations: List[str]) -> int:
    """How many variants a query may ask for: each costs its objects."""
    return max(1, min(250, MOST_POINTS // (3 + 2 * len(locations))))


def variant(node: Dict[str, Any], locations: List[str]) -> Variant:
    item = node["inventoryItem"]
    quantities: Dict[str, Optional[int]] = {}
    for i, location in enumerate(locations):
        level = item.get(f"l{i}")
        quantities[location] = level["quantities"][0]["quantity"] if level and level["quantities"] else None
    return Variant(node["id"], node["product"]["id"], node["sku"] or "", Decimal(node["price"]), item["id"], item["tracked"], quantities)


def quoted(text: str) -> str:
    """A value in Shopify's search syntax."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def refused(writes: List[Write], errors: List[Dict[str, Any]], before: List[str]) -> List[Refusal]:
    """Finds the write that each error is about by the index in its path; an error without one is about all."""
    out = []
    for error in errors:
        path = [str(part) for part in error.get("field") or []]
        index = path[len(before)] if path[:len(before)] == before and len(path) > len(before) else ""
        about = [writes[int(index)]] if index.isdigit() and int(index) < len(writes) else writes
        out += [Refusal(w, error.get("message") or "refused", error.get("code") in STALE) for w in about]
    return out
