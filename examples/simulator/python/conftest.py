"""A simulated Shopify as a fixture of pytest. Needs `evergate` on the PATH."""

import json
import signal
import subprocess
import urllib.request

import pytest


class Simulator:
    def __init__(self, said):
        self.url = said["url"]
        self.control_url = said["control_url"]
        self.shop = said["shop"]
        self.client_id = said["client_id"]
        self.client_secret = said["client_secret"]

    def control(self, what, order):
        """Give an order, such as control("faults", {"kind": "drop", "endpoint": "token", "count": 1})."""
        request = urllib.request.Request(f"{self.control_url}/_sim/{what}", data=json.dumps(order).encode())
        with urllib.request.urlopen(request) as answer:
            return json.load(answer)


@pytest.fixture
def shopify():
    command = ["evergate", "simulate", "--plain", "--json", "--strict", "--listen", "127.0.0.1:0", "--control", "127.0.0.1:0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield Simulator(json.loads(process.stdout.readline()))
        finally:
            process.send_signal(signal.SIGINT)
        assert process.wait() == 0, "the simulator has something to report"
