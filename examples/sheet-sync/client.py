"""Talks to Evergate. There is no token here: Evergate adds it, and renews it.

What matters for a sync that runs unattended is what is known after a call that failed. A call either was not carried
out (NotDone: send it again), or nobody knows whether it was (Unknown: look first), or it never will be (Refused)."""

import http.client
import json
import random
import time
from email.utils import parsedate_to_datetime
from typing import Any, Callable, Dict, Optional
from urllib.parse import urlsplit


class NotDone(Exception):
    """The call was not carried out and may be sent again, after so many seconds if that is known."""

    def __init__(self, why: str, wait: Optional[float] = None):
        super().__init__(why)
        self.wait = wait


class Unknown(Exception):
    """The call may have been carried out. It is worth looking after so many seconds, if that is known."""

    def __init__(self, why: str, wait: Optional[float] = None):
        super().__init__(why)
        self.wait = wait


class Refused(Exception):
    """The call will not be carried out, however often it is sent."""


class Unreachable(Exception):
    """It has been tried for long enough."""


# Evergate's own answers for which it has sent nothing to Shopify.
NOTHING_SENT = {"no_token", "memory_budget", "rate_limit_queue_full"}
LONGEST_WAIT = 60.0


class Client:
    def __init__(self, url: str, version: str, key: str = "", timeout: float = 90,
                 patience: float = 600, say: Callable[[str], None] = lambda text: None):
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise Refused(f"EVERGATE_URL={url!r}: want one such as http://localhost:8080")
        self.parts, self.key, self.timeout, self.patience, self.say = parts, key, timeout, patience, say
        self.path = f"{parts.path.rstrip('/')}/admin/api/{version}/graphql.json"

    def once(self, query: str, variables: Dict[str, Any]) -> Dict[str, Any]:
        """Sends one call and returns its data."""
        kind = http.client.HTTPSConnection if self.parts.scheme == "https" else http.client.HTTPConnection
        connection = kind(self.parts.hostname, self.parts.port, timeout=self.timeout)
        try:
            try:
                connection.connect()
            except OSError as e:
                raise NotDone(f"Evergate does not answer at {self.parts.netloc}: {e}") from None
            try:
                # A connection for each call: one that has been idle may be gone, and after a write that fails on it
                # nobody would know whether the call arrived.
                connection.request("POST", self.path, json.dumps({"query": query, "variables": variables}), self.headers())
                answer = connection.getresponse()
                body = answer.read()
            except (OSError, http.client.HTTPException) as e:
                raise Unknown(f"the answer was lost: {e or type(e).__name__}") from None
        finally:
            connection.close()
        return judge(answer.status, answer.headers, body)

    def headers(self) -> Dict[str, str]:
        headers = {"Content-Type": "application/json", "Accept": "application/json", "Connection": "close",
                   "User-Agent": "sheet-sync"}
        if self.key:
            headers["Authorization"] = f"Bearer {self.key}"
        return headers

    def read(self, query: str, variables: Dict[str, Any]) -> Dict[str, Any]:
        """A call that changes nothing: it is sent until there is an answer."""
        tries = Tries(self.patience, self.say)
        while True:
            try:
                return self.once(query, variables)
            except (NotDone, Unknown) as e:
                tries.wait(e)


class Tries:
    """Waits longer and longer between tries, and gives up after a while in which nothing went well."""

    def __init__(self, patience: float, say: Callable[[str], None], least: float = 0.0):
        self.patience, self.say, self.least = patience, say, least
        self.well()

    def well(self) -> None:
        self.delay, self.since = 0.5, time.monotonic()

    def wait(self, why: Exception) -> None:
        asked = getattr(why, "wait", None)
        pause = self.delay * random.uniform(0.5, 1.0) if asked is None else asked
        pause = min(max(pause, self.least), LONGEST_WAIT)
        self.delay = min(self.delay * 2, LONGEST_WAIT)
        if time.monotonic() + pause - self.since > self.patience:
            raise Unreachable(str(why))
        self.say(f"{why}; again in {pause:.1f} s")
        time.sleep(pause)


def judge(status: int, headers: Any, body: bytes) -> Dict[str, Any]:
    """Says what an answer means."""
    code = headers.get("X-Evergate-Error", "")
    try:
        answer = json.loads(body)
    except ValueError:
        answer = None
    said = errors_of(answer)
    if status == 429 or status == 503 and code in NOTHING_SENT:
        raise NotDone(said or f"status {status}", retry_after(headers))
    if status == 401:  # Evergate has tried it again already, with a new token
        raise NotDone(said or "the token was refused", 5.0)
    if status >= 500:
        raise Unknown(f"status {status}: {said or code or 'no answer of Shopify'}", retry_after(headers))
    if status != 200:
        raise Refused(f"status {status}: {said or code or body[:200].decode('utf-8', 'replace')}")
    if not isinstance(answer, dict):
        raise Unknown("the answer is not JSON: it was cut short on the way")
    return data_of(answer, said)


def data_of(answer: Dict[str, Any], said: str) -> Dict[str, Any]:
    errors = answer.get("errors")
    if not errors:
        data = answer.get("data")
        if not isinstance(data, dict):
            raise Unknown("the answer has no data")
        return data
    codes = {error.get("extensions", {}).get("code") for error in errors if isinstance(error, dict)} if isinstance(errors, list) else set()
    if "THROTTLED" in codes:
        raise NotDone("throttled", throttle_wait(answer))
    if "INTERNAL_SERVER_ERROR" in codes:
        raise Unknown(said)
    raise Refused(said)


def errors_of(answer: Any) -> str:
    errors = answer.get("errors") if isinstance(answer, dict) else None
    if isinstance(errors, list):
        return "; ".join(str(error.get("message", error)) if isinstance(error, dict) else str(error) for error in errors)
    return str(errors or "")


def retry_after(headers: Any) -> Optional[float]:
    """Seconds, or a date: both are allowed."""
    text = headers.get("Retry-After") or ""
    try:
        return max(0.0, float(text))
    except ValueError:
        pass
    try:
        return max(0.0, parsedate_to_datetime(text).timestamp() - time.time())
    except (ValueError, TypeError, IndexError):  # the last two before Python 3.10
        return None


def throttle_wait(answer: Dict[str, Any]) -> Optional[float]:
    """How long it takes until the bucket holds what was asked for."""
    try:
        cost = answer["extensions"]["cost"]
        status = cost["throttleStatus"]
        return max(0.1, (cost["requestedQueryCost"] - status["currentlyAvailable"]) / status["restoreRate"])
    except (KeyError, TypeError, ZeroDivisionError):
        return None
