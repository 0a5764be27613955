import json
import os
import random
import tempfile
import unittest
from decimal import Decimal
from unittest import mock

from client import NotDone, Tries, Unknown
from sheet import read
from shop import Refusal, Variant, quoted, refused, Write
from state import Lock, Locked, State, StateError
from sync import Options, Sync

PLACE = "gid://shopify/Location/1"


class Killed(Exception):
    """The process ends here."""


class FakeShop:
    """A shop in memory. trouble is called before and after a write takes effect, and may raise."""

    def __init__(self, count):
        self.variants = {f"v{n}": Variant(f"v{n}", f"p{n // 2}", f"S{n}", Decimal("1.00"), f"i{n}", True, {PLACE: 5}) for n in range(count)}
        self.writes = []
        self.keys = {}
        self.trouble = lambda when: None
        self.refuse = {}

    def by_skus(self, skus, locations):
        return [v for v in self.variants.values() if v.sku in skus]

    def again(self, ids, locations):
        return [self.variants[i] for i in ids]

    def change(self, w):
        self.writes.append(w)
        for id, v in self.variants.items():
            if id == w.of:
                self.variants[id] = v._replace(price=Decimal(w.after))
            elif v.item == w.of:
                self.variants[id] = v._replace(quantities={**v.quantities, w.what: int(w.after)})

    def set_prices(self, writes):
        self.trouble("before")
        bad = [Refusal(w, self.refuse[w.sku], False) for w in writes if w.sku in self.refuse]
        if not bad:
            for w in writes:
                self.change(w)
        self.trouble("after")
        return bad

    def set_quantities(self, writes, key):
        self.trouble("before")
        if key not in self.keys:
            now = {v.item: v.quantities for v in self.variants.values()}
            stale = [Refusal(w, "stale", True) for w in writes if str(now[w.of].get(w.what)) != w.before]
            if stale:
                return stale
            for w in writes:
                self.change(w)
            self.keys[key] = writes
        elif self.keys[key] != writes:
            raise AssertionError("a key was used for another call")
        self.trouble("after")
        return []


class Syncing(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.path = os.path.join(folder.name, "state.json")
        self.entries = []

    def sync(self, shop, text, dry_run=False, batch=4):
        items = read(text.encode()).items
        state = State(self.path)
        if not dry_run:
            state.load()
        if state.finished:
            state.done = 0
        state.finished = False
        before = list(self.entries)

        def report(entries):
            self.entries = before + [*self.entries[len(before):], *entries]
            return 0
        sync = Sync(shop, state, Options(dry_run, batch, 0.0), {PLACE: "North"}, lambda name: PLACE if name in ("", "North") else None,
                    Tries(5, lambda text: None), report, lambda done: None)
        sync.tries.wait = lambda why: None
        sync.run(items)

    def changes(self):
        return [(e.sku, e.what, e.before, e.after) for e in self.entries if not e.message]

    def test_only_what_differs_is_written(self):
        shop = FakeShop(3)
        self.sync(shop, "sku,price,qty\nS0,2,5\nS1,1,6\nS2,1.00,5\nS9,1,1\n")
        self.assertEqual([(w.sku, w.what, w.before, w.after) for w in shop.writes], [("S0", "price", "1.00", "2.00"), ("S1", PLACE, "5", "6")])
        self.assertEqual(self.changes(), [("S0", "price", "1.00", "2.00"), ("S1", "North", "5", "6")])
        self.assertEqual([(e.line, e.message) for e in self.entries if e.message], [(5, "no variant has this SKU")])
        self.sync(shop, "sku,price,qty\nS0,2,5\nS1,1,6\n")
        self.assertEqual(len(shop.writes), 2)

    def test_a_dry_run_writes_nothing_anywhere(self):
        shop = FakeShop(2)
        self.sync(shop, "sku,price\nS0,2\n", dry_run=True)
        self.assertEqual((shop.writes, self.changes(), os.path.exists(self.path)), ([], [("S0", "price", "1.00", "2.00")], False))

    def test_what_cannot_be_written_is_said_and_the_rest_is_done(self):
        shop = FakeShop(4)
        shop.variants["v1"] = shop.variants["v1"]._replace(tracked=False)
        shop.variants["v2"] = shop.variants["v2"]._replace(quantities={PLACE: None})
        shop.variants["v9"] = shop.variants["v3"]._replace(id="v9")
        shop.refuse["S0"] = "too dear"
        self.sync(shop, "sku,price,qty,location\nS0,2,6,\nS1,3,6,\nS2,,6,North\nS3,2,,\n")
        self.assertEqual(sorted((e.sku, e.message) for e in self.entries if e.message), [
            ("S0", "too dear"), ("S1", "inventory is not tracked for this variant"), ("S2", "the variant is not stocked at this location"), ("S3", "2 variants have this SKU")])
        self.assertEqual(self.changes(), [("S0", "North", "5", "6"), ("S1", "price", "1.00", "3.00")])

    def test_what_others_change_meanwhile_is_read_again(self):
        shop = FakeShop(1)
        sold = [5, 4, 3]

        def sell(when):
            if when == "before" and sold:
                shop.variants["v0"] = shop.variants["v0"]._replace(quantities={PLACE: sold.pop()})
        shop.trouble = sell
        self.sync(shop, "sku,qty\nS0,9\n")
        self.assertEqual([(w.before, w.after) for w in shop.writes], [("5", "9")])

    def test_an_item_that_changes_all_the_time_is_left(self):
        shop = FakeShop(2)
        count = iter(range(10, 1000))

        def sell(when):
            if when == "before":
                shop.variants["v0"] = shop.variants["v0"]._replace(quantities={PLACE: next(count)})
        shop.trouble = sell
        self.sync(shop, "sku,qty,price\nS0,9,\nS1,,3\n")
        self.assertEqual([(e.sku, bool(e.message)) for e in self.entries], [("S0", True), ("S1", False)])

    def test_no_row_is_written_twice_whatever_happens(self):
        with mock.patch("os.fsync"):  # it takes most of the time
            for seed in range(200):
                with self.subTest(seed=seed):
                    self.one_life(random.Random(seed))

    def one_life(self, rng):
        if os.path.exists(self.path):
            os.remove(self.path)
        self.entries = []
        shop = FakeShop(9)
        text = "sku,price,qty\n" + "".join(f"S{n},{rng.choice([1, 2])},{rng.choice([5, 7])}\n" for n in range(9))
        differing = sum(w != "1" for w in [line.split(",")[1] for line in text.split("\n")[1:-1]]) + text.count(",7\n")

        def trouble(when):
            if rng.random() < 0.3:
                raise rng.choice([NotDone("x") if when == "before" else Unknown("x"), Unknown("x"), Killed()])
        shop.trouble = trouble
        for _ in range(1000):
            try:
                self.sync(shop, text, batch=rng.choice([2, 4]))
                break
            except Killed:
                pass
        written = [(w.of, w.what) for w in shop.writes]
        self.assertEqual(len(written), len(set(written)))
        self.assertEqual(len(written), differing)
        self.assertEqual(len(self.changes()), differing)


class Details(unittest.TestCase):
    def test_search_values(self):
        self.assertEqual(quoted('A "1" \\'), '"A \\"1\\" \\\\"')

    def test_errors_find_their_writes(self):
        writes = [Write(sku, "price", sku, "p", "1", "2") for sku in "ab"]
        self.assertEqual([r.write.sku for r in refused(writes, [{"field": ["variants", "1", "price"], "message": "m"}], ["variants"])], ["b"])
        self.assertEqual([r.write.sku for r in refused(writes, [{"field": None, "message": "m"}], ["variants"])], ["a", "b"])
        self.assertTrue(refused(writes, [{"field": ["input", "quantities", 0], "code": "CHANGE_FROM_QUANTITY_STALE"}], ["input", "quantities"])[0].stale)


class States(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.path = os.path.join(folder.name, "state.json")

    def test_it_comes_back(self):
        state = State(self.path)
        state.done, state.pending = 7, {"key": "k", "writes": [["a"]], "sent": []}
        state.save()
        again = State(self.path)
        again.load()
        self.assertEqual((again.done, again.pending), (7, state.pending))

    def test_what_is_no_state_is_refused(self):
        for text in ("", "{}", "[]", '{"version": 2}', json.dumps({"version": 1})):
            with open(self.path, "w") as f:
                f.write(text)
            self.assertRaises(StateError, State(self.path).load)
        self.assertRaises(StateError, State(os.path.join(self.path, "x")).save)

    def test_two_runs_do_not_share_it(self):
        first = Lock(self.path)
        self.assertRaises(Locked, Lock, self.path)
        first.file.close()
        Lock(self.path).file.close()


if __name__ == "__main__":
    unittest.main()
