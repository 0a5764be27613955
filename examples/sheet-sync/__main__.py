"""Keeps a shop's prices and quantities in step with a sheet. README.md is the manual."""

import argparse
import csv
import io
import os
import re
import signal
import sys
from typing import Dict, List, Optional

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))  # also where Python leaves the folder out (-P, -I)

from client import Client, Refused, Tries, Unreachable  # noqa: E402
from sheet import NoSheet, Sheet, SheetError, fetch, read  # noqa: E402
from shop import Shop  # noqa: E402
from state import Lock, Locked, State, StateError  # noqa: E402
from sync import Entry, Options, Sync, problem_entry  # noqa: E402

IN_STEP, PROBLEMS, WRONG, LATER, RUNNING, STOPPED = 0, 1, 2, 3, 4, 130

COLUMNS = ["line", "sku", "what", "before", "after", "problem"]
SHOWN = 20  # problems on the terminal; the report has them all


def arguments(argv: List[str]) -> argparse.Namespace:
    p = argparse.ArgumentParser(prog="sheet-sync", description="Keeps a shop's prices and quantities in step with a sheet.")
    p.add_argument("sheet", help="a CSV file, or the http(s) URL of one, such as that of a published Google Sheet")
    p.add_argument("--url", default=os.environ.get("EVERGATE_URL") or "http://localhost:8080", help="where Evergate is (EVERGATE_URL)")
    p.add_argument("--location", default="", help="the location of rows that name none; not needed where the shop has one")
    for name in ("sku", "price", "quantity", "location"):
        p.add_argument(f"--{name}-column", metavar="NAME", help=f"what the column of the {name} is called")
    p.add_argument("--decimal", choices=["auto", "point", "comma"], default="auto", help="what comes before the decimals of a number")
    p.add_argument("--dry-run", action="store_true", help="say what would change, and change nothing")
    p.add_argument("--state", default="sheet-sync.state.json", help="where an interrupted run is remembered (default: %(default)s)")
    p.add_argument("--report", metavar="FILE", help="write what changed and what was wrong to this CSV file")
    p.add_argument("--batch", type=int, default=25, help="SKUs that are read and written together (default: %(default)s)")
    p.add_argument("--patience", type=float, default=600, metavar="SECONDS", help="how long to try without success (default: %(default)s)")
    p.add_argument("--settle", type=float, default=5, metavar="SECONDS", help="how long to wait for a write whose answer was lost (default: %(default)s)")
    p.add_argument("--api-version", default="2026-10", help="of the Admin API, from 2026-04 on (default: %(default)s)")
    p.add_argument("--quiet", action="store_true", help="print problems only")
    args = p.parse_args(argv)
    if not 1 <= args.batch <= 100:
        p.error("--batch must be between 1 and 100")
    return args


class Report:
    """The report's file. What a killed run wrote after its state was saved is cut off, for it is written again."""

    def __init__(self, path: Optional[str], keep: int):
        self.file = None
        self.problems: List[Entry] = []
        self.changes = 0
        if path:
            fresh = keep == 0 or not os.path.exists(path)
            try:
                self.file = open(path, "wb" if fresh else "r+b")
            except OSError as e:
                raise StateError(f"cannot write {path}: {e.strerror}") from None
            if fresh:
                self.write([COLUMNS])
            else:
                self.file.truncate(keep)
                self.file.seek(0, os.SEEK_END)

    def write(self, rows: List[List[str]]) -> int:
        text = io.StringIO(newline="")
        csv.writer(text).writerows(rows)
        self.file.write(text.getvalue().encode("utf-8"))
        self.file.flush()
        os.fsync(self.file.fileno())
        return self.file.tell()

    def add(self, entries: List[Entry]) -> int:
        self.problems += [e for e in entries if e.message]
        self.changes += sum(not e.message for e in entries)
        if self.file is None:
            return 0
        return self.write([[safe(str(cell)) for cell in e] for e in entries])


def safe(cell: str) -> str:
    """Keeps a spreadsheet from taking a cell of the report for a formula."""
    formula = cell[:1] in ("=", "+", "-", "@", "\t") and not re.fullmatch(r"-\d+", cell)
    return "'" + cell if formula else cell


def show(text: str, args: argparse.Namespace, lasting: bool = True) -> None:
    """A line on the terminal, or in the log that a timer keeps. One that does not last is replaced by the next."""
    if args.quiet:
        return
    if sys.stderr.isatty():
        sys.stderr.write("\r\x1b[K" + text + ("\n" if lasting else ""))
        sys.stderr.flush()
    elif lasting:
        print(text, file=sys.stderr, flush=True)


def places(sheet: Sheet, shop: Shop, args: argparse.Namespace) -> Dict[str, str]:
    """The shop's locations, if the sheet has quantities; names by ids."""
    if not any(item.quantities for item in sheet.items):
        return {}
    found = shop.locations()
    if args.location and finder(found, args)("") is None:
        raise SheetError(f"the shop has no location {args.location!r}: it has {', '.join(sorted(found.values()))}")
    if len(found) != 1 and not args.location and any("" in item.quantities for item in sheet.items):
        raise SheetError(f"the shop has several locations: name one by --location, or in a column. They are {', '.join(sorted(found.values()))}")
    return found


def finder(found: Dict[str, str], args: argparse.Namespace):
    """Finds a location's id by its name, its number or its id."""
    known = {}
    for gid, name in found.items():
        for key in (gid, gid.rsplit("/", 1)[-1], name.strip().lower()):
            known[key] = gid

    def place(name: str) -> Optional[str]:
        name = name or args.location
        if not name:
            return next(iter(found)) if len(found) == 1 else None
        return known.get(name) or known.get(name.strip().lower())
    return place


def fetched(args: argparse.Namespace) -> bytes:
    """The sheet; its server may have a bad moment."""
    tries = Tries(args.patience, lambda text: show(text, args))
    while True:
        try:
            return fetch(args.sheet)
        except NoSheet as e:
            tries.wait(e)


def run(args: argparse.Namespace) -> int:
    names = {name: getattr(args, f"{name}_column") for name in ("sku", "price", "quantity", "location")}
    sheet = read(fetched(args), {k: v for k, v in names.items() if v}, args.decimal)
    state = State(args.state)
    lock = None
    if not args.dry_run:
        lock = Lock(args.state + ".lock")  # noqa: F841: held until the end of the program
        state.load()
    digest = f"{sheet.digest()} {args.location} {args.url}"
    resumed = not state.finished and state.sheet == digest and 0 < state.done
    if not resumed:
        state.sheet, state.done, state.counts, state.report_size = digest, 0, {}, 0
    state.finished = False
    say = lambda text: show(text, args)  # noqa: E731
    client = Client(args.url, args.api_version, os.environ.get("EVERGATE_KEY", ""), patience=args.patience, say=say)
    shop = Shop(client)
    found = places(sheet, shop, args)
    total = len(sheet.items)
    show(f"{total} SKUs in the sheet" + (f", going on after {state.done}" if resumed else ""), args)
    report = Report(args.report, state.report_size)
    if not resumed:
        state.report_size = report.add([problem_entry(p) for p in sheet.problems])
        state.counts["problems"] = len(sheet.problems)
    else:
        report.problems += [problem_entry(p) for p in sheet.problems]

    def progress(done: int) -> None:
        changed = state.counts.get("prices", 0) + state.counts.get("quantities", 0)
        show(f"{done}/{total} SKUs, {changed} {'differences' if args.dry_run else 'changes'}, {state.counts.get('problems', 0)} problems", args, lasting=False)

    Sync(shop, state, Options(args.dry_run, args.batch, args.settle), found, finder(found, args),
         Tries(args.patience, say), report.add, progress).run(sheet.items)
    return summarise(state, report, args)


def summarise(state: State, report: Report, args: argparse.Namespace) -> int:
    counts = state.counts
    show("", args, lasting=False)
    for e in report.problems[:SHOWN]:
        where = " ".join(part for part in (e.sku, e.what) if part)
        print(f"line {e.line}: {where}: {e.message}" if where else f"line {e.line}: {e.message}")
    if len(report.problems) > SHOWN:
        print(f"and {len(report.problems) - SHOWN} more problems" + ("" if args.report else "; --report FILE lists them all"))
    if not args.quiet:
        verb = "would change" if args.dry_run else "changed"
        print(f"{state.done} SKUs: {counts.get('prices', 0)} prices and {counts.get('quantities', 0)} quantities {verb}, {counts.get('problems', 0)} problems")
    return PROBLEMS if counts.get("problems") else IN_STEP


def stop(signum, frame):
    raise KeyboardInterrupt


def main(argv: List[str]) -> int:
    args = arguments(argv)
    signal.signal(signal.SIGTERM, stop)
    try:
        return run(args)
    except (SheetError, StateError, Refused) as e:
        print(f"sheet-sync: {e}", file=sys.stderr)
        return WRONG
    except Unreachable as e:
        print(f"sheet-sync: given up for now: {e}; the next run goes on where this one stopped", file=sys.stderr)
        return LATER
    except Locked as e:
        print(f"sheet-sync: {e}", file=sys.stderr)
        return RUNNING
    except KeyboardInterrupt:
        print("sheet-sync: stopped; the next run goes on here", file=sys.stderr)
        return STOPPED


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
