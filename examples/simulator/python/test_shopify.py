import json
import urllib.error
import urllib.parse
import urllib.request


def fetch_token(shopify):
    """Stands for the code under test: it asks once more when the answer is a failure."""
    form = {"grant_type": "client_credentials", "client_id": shopify.client_id, "client_secret": shopify.client_secret}
    for _ in range(2):
        try:
            with urllib.request.urlopen(f"{shopify.url}/admin/oauth/access_token", urllib.parse.urlencode(form).encode()) as answer:
                return json.load(answer)["access_token"]
        except urllib.error.HTTPError as error:
            failure = error
    raise failure


def test_a_token_is_fetched_although_an_answer_is_lost(shopify):
    shopify.control("faults", {"kind": "status", "status": 520, "endpoint": "token", "after_commit": True, "count": 1})

    request = urllib.request.Request(
        f"{shopify.url}/admin/api/2026-10/products/count.json", headers={"X-Shopify-Access-Token": fetch_token(shopify)}
    )
    with urllib.request.urlopen(request) as answer:
        assert json.load(answer) == {"count": 10}
