"""Brings the shop in step with the sheet.

Before anything is written it is read what is there, and only what differs is written. That is also how a run goes on
after it was killed, and what happens after a call whose answer was lost: what was written is no longer different. So no
row is written twice, and nothing has to be remembered of rows that are done. Two things help where reading alone does
not decide: a quantity is set only if it is still the one that was read, under a key that Shopify takes once; and the
writes under way are in the state before they are sent, so that a new run gives them time to arrive or to fail before it
looks."""

import time
import uuid
from typing import Any, Callable, Dict, List, NamedTuple, Optional, Tuple

from client import NotDone, Tries, Unknown
from sheet import Item, Problem
from shop import PRODUCTS_PER_CALL, Refusal, Shop, Variant, Write
from state import State

MOST_ROUNDS = 50  # of reading and writing the same rows again, while others change them


class Entry(NamedTuple):
    """A line of the report: a change, or a problem if there is a message."""
    line: int
    sku: str
    what: str
    before: str
    after: str
    message: str


class Options(NamedTuple):
    dry_run: bool
    batch: int
    settle: float  # how long after a write whose answer is unknown it is looked whether it was carried out


class Sync:
    def __init__(self, shop: Shop, state: State, options: Options, locations: Dict[str, str],
                 place: Callable[[str], Optional[str]], tries: Tries,
                 report: Callable[[List[Entry]], int], progress: Callable[[int], None]):
        self.shop, self.state, self.options = shop, state, options
        self.locations = locations  # names by ids
        self.place = place  # the id of a location by what the sheet calls it
        self.tries, self.report, self.progress = tries, report, progress
        # What a killed run had sent and not reported, by SKU and what was written.
        self.unreported = {(w[0], w[1]): Write(*w) for w in (state.pending or {}).get("sent", [])}

    def run(self, items: List[Item]) -> None:
        self.settle()
        while self.state.done < len(items):
            chunk = items[self.state.done:self.state.done + self.options.batch]
            entries = self.chunk(chunk)
            self.state.done += len(chunk)
            self.state.pending = self.pending("", [], []) if self.unreported else None
            for e in entries:
                kind = "problems" if e.message else "prices" if e.what == "price" else "quantities"
                self.state.counts[kind] = self.state.counts.get(kind, 0) + 1
            self.state.report_size = self.report(entries)
            self.save()
            self.progress(self.state.done)
        self.state.finished = True
        self.save()

    def save(self) -> None:
        if not self.options.dry_run:
            self.state.save()

    def settle(self) -> None:
        """Lets writes of a killed run arrive or fail. When it was killed nobody knows, and a write may have waited for long by then."""
        if self.state.pending and not self.options.dry_run:
            time.sleep(self.options.settle)

    def chunk(self, items: List[Item]) -> List[Entry]:
        wanted = sorted({place for item in items for name in item.quantities for place in [self.place(name)] if place})
        known = self.shop.by_skus([item.sku for item in items], wanted)
        by_sku: Dict[str, List[Variant]] = {}
        for v in known:
            by_sku.setdefault(v.sku, []).append(v)
        entries: List[Entry] = []
        of: Dict[str, Item] = {}  # by the variant's id
        for item in items:
            problem = unusable(by_sku.get(item.sku, []))
            if problem:
                entries.append(Entry(item.line, item.sku, "", "", "", problem))
            else:
                of[by_sku[item.sku][0].id] = item
        entries += self.bring(of, wanted, [v for v in known if v.id in of])
        return sorted(entries)

    def bring(self, of: Dict[str, Item], wanted: List[str], variants: List[Variant]) -> List[Entry]:
        """Reads and writes until nothing differs but what Shopify refuses."""
        lines = {item.sku: item.line for item in of.values()}
        problems: Dict[Tuple[str, str], Entry] = {}
        sent = {k: w for k, w in self.unreported.items() if w.sku in lines}
        self.unreported = {k: w for k, w in self.unreported.items() if k not in sent}
        self.tries.well()
        for _ in range(MOST_ROUNDS):
            writes = self.differences(of, variants, problems)
            if self.options.dry_run:
                sent = {(w.sku, w.what): w for w in writes}
                break
            if not writes:
                break
            try:
                refusals = self.write(writes, sent)
                self.tries.well()
            except (NotDone, Unknown) as e:
                self.tries.least = self.options.settle if isinstance(e, Unknown) else 0
                self.tries.wait(e)
                refusals = []
            for r in refusals:
                if not r.stale:
                    problems[r.write.sku, r.write.what] = Entry(lines[r.write.sku], r.write.sku, self.name(r.write.what), r.write.before, r.write.after, r.message)
            variants = self.shop.again([v.id for v in variants], wanted)
        else:
            for w in self.differences(of, variants, problems):
                problems[w.sku, w.what] = Entry(lines[w.sku], w.sku, self.name(w.what), w.before, w.after, "others change it all the time: it is left for the next run")
        entries = list(problems.values())
        for (sku, what), w in sent.items():
            if (sku, what) not in problems and (self.options.dry_run or w.after == now_of(variants, w)):
                entries.append(Entry(lines[sku], sku, self.name(what), w.before, w.after, ""))
        return entries

    def name(self, what: str) -> str:
        return what if what == "price" else self.locations.get(what, what)

    def differences(self, of: Dict[str, Item], variants: List[Variant], problems: Dict[Tuple[str, str], Entry]) -> List[Write]:
        writes: List[Write] = []
        for v in variants:
            item = of[v.id]
            if item.price is not None and item.price != v.price and (v.sku, "price") not in problems:
                writes.append(Write(v.sku, "price", v.id, v.product, str(v.price), f"{item.price:.2f}"))
            for name, quantity in item.quantities.items():
                place = self.place(name)
                what = place or name
                have = v.quantities.get(place or "")
                message = ("the shop has no location of this name" if not place else
                           "inventory is not tracked for this variant" if not v.tracked else
                           "the variant is not stocked at this location" if have is None else "")
                if (v.sku, what) in problems:
                    continue
                if message:
                    problems[v.sku, what] = Entry(item.line, v.sku, self.name(what), "", str(quantity), message)
                elif have != quantity:
                    writes.append(Write(v.sku, what, v.item, v.product, str(have), str(quantity)))
        return writes

    def write(self, writes: List[Write], sent: Dict[Tuple[str, str], Write]) -> List[Refusal]:
        """Sends one call: prices first, of a few products, then quantities."""
        prices = [w for w in writes if w.what == "price"]
        products = list(dict.fromkeys(w.product for w in prices))[:PRODUCTS_PER_CALL]
        batch = [w for w in prices if w.product in products][:250] if prices else writes[:250]
        for w in batch:
            first = sent.get((w.sku, w.what))
            sent[w.sku, w.what] = w._replace(before=first.before) if first else w
        key = self.intend(batch, list(sent.values()))
        if prices:
            return self.shop.set_prices(batch)
        return self.shop.set_quantities(batch, key)

    def intend(self, writes: List[Write], sent: List[Write]) -> str:
        """Notes the writes before they are sent, with all that were sent of these rows. The same ones that are noted already keep their key: they are a
        repetition. Others get a new key, also if they look like some that were made long ago: to set a quantity from 5
        to 7 on Monday and on Tuesday is to set it twice."""
        listed = [list(w) for w in writes]
        before = self.state.pending
        key = before["key"] if before and before["writes"] == listed else str(uuid.uuid4())
        self.state.pending = self.pending(key, listed, sent)
        self.save()
        return key

    def pending(self, key: str, writes: List[List[str]], sent: List[Write]) -> Dict[str, Any]:
        return {"key": key, "writes": writes, "sent": [list(w) for w in [*sent, *self.unreported.values()]]}


def unusable(variants: List[Variant]) -> str:
    if not variants:
        return "no variant has this SKU"
    if len(variants) > 1:
        return f"{len(variants)} variants have this SKU"
    return ""


def now_of(variants: List[Variant], w: Write) -> str:
    for v in variants:
        if w.what == "price" and v.id == w.of:
            return f"{v.price:.2f}"
        if v.item == w.of:
            return str(v.quantities.get(w.what))
    return ""


def problem_entry(p: Problem) -> Entry:
    return Entry(p.line, p.sku, p.location, "", "", p.message)
