import json
import socket
import threading
import unittest
from http.server import BaseHTTPRequestHandler
from socketserver import TCPServer

from client import Client, NotDone, Refused, Tries, Unknown, Unreachable, judge


class Judging(unittest.TestCase):
    def outcome(self, status, body, **headers):
        try:
            return judge(status, {k.replace("_", "-"): v for k, v in headers.items()}, body if isinstance(body, bytes) else json.dumps(body).encode())
        except (NotDone, Refused, Unknown) as e:
            return type(e)

    def test_what_an_answer_means(self):
        def error(code):
            return {"errors": [{"message": "m", "extensions": {"code": code}}]}
        for want, *answer in (
            ({"a": 1}, 200, {"data": {"a": 1}}),
            (NotDone, 200, error("THROTTLED")),
            (Unknown, 200, error("INTERNAL_SERVER_ERROR")),
            (Refused, 200, error("ACCESS_DENIED")),
            (Refused, 200, {"errors": "text"}),
            (Unknown, 200, b'{"data": {"a"'),  # cut short
            (Unknown, 200, b""),
            (Unknown, 200, b"<html>"),
            (Unknown, 200, []),
            (Unknown, 200, {"data": None}),
            (NotDone, 429, {"errors": "slow down"}),
            (NotDone, 401, {"errors": "token"}),
            (Unknown, 500, b""),
            (Unknown, 502, {"errors": "unreachable"}),
            (Unknown, 503, b"<html>"),
            (Unknown, 504, b""),
            (Unknown, 520, b"error code: 520"),
            (Refused, 402, {"errors": "Unavailable Shop"}),
            (Refused, 403, {"errors": "read only"}),
            (Refused, 404, b""),
        ):
            with self.subTest(answer):
                self.assertEqual(self.outcome(*answer), want)

    def test_what_evergate_has_not_sent_may_be_sent_again(self):
        for code, want in (("no_token", NotDone), ("rate_limit_queue_full", NotDone), ("memory_budget", NotDone), ("another", Unknown)):
            self.assertEqual(self.outcome(503, {"errors": "m"}, X_Evergate_Error=code), want)

    def test_how_long_to_wait(self):
        for headers, wait in (({"Retry-After": "1.5"}, 1.5), ({}, None), ({"Retry-After": "soon"}, None), ({"Retry-After": "Wed, 21 Oct 2020 07:28:00 GMT"}, 0)):
            with self.assertRaises(NotDone) as caught:
                judge(429, headers, b"")
            self.assertEqual(caught.exception.wait, wait)
        with self.assertRaises(Unknown) as lost:
            judge(503, {"Retry-After": "7"}, b"")
        self.assertEqual(lost.exception.wait, 7)
        cost = {"requestedQueryCost": 102, "throttleStatus": {"currentlyAvailable": 2, "restoreRate": 50}}
        with self.assertRaises(NotDone) as caught:
            judge(200, {}, json.dumps({"errors": [{"extensions": {"code": "THROTTLED"}}], "extensions": {"cost": cost}}).encode())
        self.assertEqual(caught.exception.wait, 2)


class Answers(BaseHTTPRequestHandler):
    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        self.server.seen.append((self.path, self.headers.get("Authorization")))
        body = self.server.answers.pop(0)
        if body is None:
            self.close_connection = True
            return
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args):
        pass


class Calling(unittest.TestCase):
    def setUp(self):
        self.server = TCPServer(("127.0.0.1", 0), Answers)
        self.server.answers, self.server.seen = [], []
        thread = threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        self.addCleanup(thread.join)
        self.addCleanup(self.server.server_close)
        self.addCleanup(self.server.shutdown)

    def client(self, **options):
        return Client(f"http://127.0.0.1:{self.server.server_address[1]}/shop/", "2026-10", **options)

    def test_a_call(self):
        self.server.answers = [b'{"data": {"shop": 1}}']
        self.assertEqual(self.client(key="evg_x").once("{ shop }", {}), {"shop": 1})
        self.assertEqual(self.server.seen, [("/shop/admin/api/2026-10/graphql.json", "Bearer evg_x")])

    def test_a_lost_answer_is_unknown_and_is_not_sent_again(self):
        self.server.answers = [None]
        self.assertRaises(Unknown, self.client().once, "mutation { x }", {})
        self.assertEqual(len(self.server.seen), 1)

    def test_a_read_is_sent_again(self):
        self.server.answers = [None, b"", b'{"data": {"shop": 1}}']
        self.assertEqual(self.client().read("{ shop }", {}), {"shop": 1})

    def test_nobody_there_means_that_nothing_was_sent(self):
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))  # and does not listen
            client = Client(f"http://127.0.0.1:{taken.getsockname()[1]}", "2026-10", patience=0.1)
            self.assertRaises(NotDone, client.once, "mutation { x }", {})
            self.assertRaises(Unreachable, client.read, "{ x }", {})

    def test_addresses(self):
        for url in ("localhost:8080", "ftp://x", "http://", ""):
            self.assertRaises(Refused, Client, url, "2026-10")


class Trying(unittest.TestCase):
    def test_it_waits_at_least_as_long_as_is_asked_and_gives_up(self):
        said = []
        tries = Tries(0.05, said.append, least=0.01)
        tries.wait(NotDone("x", 0.0))
        self.assertEqual(said, ["x; again in 0.0 s"])
        self.assertRaises(Unreachable, tries.wait, NotDone("x", 1.0))


if __name__ == "__main__":
    unittest.main()
