"""Reads the sheet: a CSV file or the URL of one. What is wrong in it is said by line, and left out."""

import codecs
import csv
import hashlib
import http.client
import io
import re
import urllib.error
import urllib.request
from decimal import Decimal
from typing import Dict, List, NamedTuple, Optional, Tuple

MAX_BYTES = 64 << 20
MAX_QUANTITY = 1_000_000_000

# What a column may be called, in lower case and without what is not a letter or a digit.
HEADINGS = {
    "sku": ["sku", "variantsku", "articlenumber", "itemnumber"],
    "price": ["price", "variantprice", "sellingprice"],
    "quantity": ["quantity", "qty", "stock", "available", "inventory", "onhand", "variantinventoryqty"],
    "location": ["location", "locationname", "warehouse"],
}


class SheetError(Exception):
    """The sheet cannot be used at all."""


class NoSheet(Exception):
    """The sheet could not be fetched; later it may be."""

    wait = None


class Problem(NamedTuple):
    """One row, or one cell, that is left out."""
    line: int
    sku: str
    location: str
    message: str


class Item:
    """All that the sheet says of one SKU. A price or a quantity that it does not give is left as it is in the shop."""

    def __init__(self, sku: str, line: int):
        self.sku = sku
        self.line = line
        self.price: Optional[Decimal] = None
        self.quantities: Dict[str, int] = {}  # by the location's name; "" is the one of the command line


class Sheet(NamedTuple):
    items: List[Item]
    problems: List[Problem]
    columns: Dict[str, str]  # what each column is called in the sheet

    def digest(self) -> str:
        """The same for the same contents, so that an interrupted run knows whether it may go on."""
        h = hashlib.sha256()
        for item in self.items:
            h.update(repr((item.sku, item.price, sorted(item.quantities.items()))).encode())
        return h.hexdigest()


def fetch(source: str, timeout: float = 60) -> bytes:
    """The bytes of a file or of a URL."""
    if not re.match(r"https?://", source, re.I):
        try:
            with open(source, "rb") as f:
                return within(f.read(MAX_BYTES + 1))
        except OSError as e:
            raise SheetError(f"cannot read {source}: {e.strerror}") from None
    request = urllib.request.Request(source, headers={"Accept": "text/csv", "User-Agent": "sheet-sync"})
    try:
        with urllib.request.urlopen(request, timeout=timeout) as answer:
            body = within(answer.read(MAX_BYTES + 1))
            headers = answer.headers
    except urllib.error.HTTPError as e:
        e.close()
        error = NoSheet if e.code >= 500 or e.code == 429 else SheetError
        raise error(f"cannot fetch the sheet: status {e.code}") from None
    except (OSError, http.client.HTTPException) as e:  # also one that broke off
        raise NoSheet(f"cannot fetch the sheet: {getattr(e, 'reason', '') or e or type(e).__name__}") from None
    kind = headers.get_content_type()
    if kind == "text/html" or body.lstrip()[:1] == b"<":
        raise SheetError("the URL leads to a web page, not to a CSV. In Google Sheets: File, Share, Publish to web, "
                         "and choose 'Comma-separated values (.csv)'")
    if not headers.get("Content-Length") and not headers.get("Transfer-Encoding") and body[-1:] != b"\n":
        raise NoSheet("the sheet may have been cut short: the server does not say how long it is")
    return body


def within(body: bytes) -> bytes:
    if len(body) > MAX_BYTES:
        raise SheetError(f"the sheet is larger than {MAX_BYTES >> 20} MiB: split it")
    return body


def decode(body: bytes) -> str:
    """Text as spreadsheets write it: UTF-8 with or without a mark, UTF-16 with one, else Windows' Western European."""
    for mark, encoding in ((codecs.BOM_UTF8, "utf-8-sig"), (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16")):
        if body.startswith(mark):
            return body.decode(encoding, "replace")
    try:
        return body.decode("utf-8")
    except UnicodeDecodeError:
        return body.decode("cp1252", "replace")


def read(body: bytes, names: Optional[Dict[str, str]] = None, decimal: str = "auto") -> Sheet:
    """Reads the sheet. names says what columns are called; decimal is "point", "comma" or "auto"."""
    text = decode(body)
    if "\0" in text:
        raise SheetError("the sheet is not text: save it as CSV")
    first = text.lstrip("\ufeff").lstrip().split("\n", 1)[0]
    delimiter = max(",;\t", key=first.count)
    rows = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    items: Dict[str, Item] = {}
    rejected = set()
    problems: List[Problem] = []
    columns: Dict[str, int] = {}
    headings: List[str] = []
    line = 1
    try:
        for row in rows:
            at, line = line, rows.line_num + 1
            if not any(cell.strip() for cell in row):
                continue
            if not columns:
                headings, columns = row, find_columns(row, names or {})
                continue
            sku, problem = add_row(items, rejected, row, columns, at, decimal)
            if problem:
                problems.append(problem)
    except csv.Error as e:
        raise SheetError(f"line {line} cannot be read as CSV: {e}") from None
    if not columns:
        raise SheetError("the sheet is empty")
    kept = [item for sku, item in items.items() if sku not in rejected]
    return Sheet(kept, problems, {name: headings[i].strip() for name, i in columns.items()})


def find_columns(row: List[str], names: Dict[str, str]) -> Dict[str, int]:
    plain = [re.sub(r"[\W_]", "", cell).lower() for cell in row]
    found: Dict[str, int] = {}
    for column, headings in HEADINGS.items():
        wanted = names.get(column)
        if wanted is not None:
            matches = [i for i, cell in enumerate(row) if cell.strip().lower() == wanted.strip().lower()]
            if not matches:
                raise SheetError(f"the sheet has no column {wanted!r}: it has {', '.join(c.strip() for c in row)}")
        else:
            matches = [i for i, cell in enumerate(plain) if cell in headings]
        if len(matches) > 1:
            raise SheetError(f"several columns could be the {column}: {', '.join(row[i].strip() for i in matches)}. "
                             f"Name one by --{column}-column")
        if matches:
            found[column] = matches[0]
    if "sku" not in found:
        raise SheetError(f"no column is called SKU: the first line is {', '.join(c.strip() for c in row)}. Name one by --sku-column")
    if "price" not in found and "quantity" not in found:
        raise SheetError("there is neither a price nor a quantity: name a column by --price-column or --quantity-column")
    return found


def add_row(items, rejected, row, columns, line, decimal) -> Tuple[str, Optional[Problem]]:
    """Adds a row to what is known of its SKU, or says what is wrong with it."""
    def cell(name):
        i = columns.get(name)
        return row[i].strip() if i is not None and i < len(row) else ""

    sku, location = cell("sku"), cell("location")

    def wrong(message):
        return sku, Problem(line, sku, location, message)

    if not sku:
        return wrong("the row has no SKU")
    if re.fullmatch(r"\d[.,]\d+E\+\d+", sku):
        return wrong("the SKU looks like a number that the spreadsheet has shortened: format the column as text")
    try:
        price = parse_price(cell("price"), decimal)
        quantity = parse_quantity(cell("quantity"), decimal)
    except ValueError as e:
        return wrong(str(e))
    item = items.get(sku)
    if item is None:
        item = items[sku] = Item(sku, line)
    elif "location" not in columns or location in item.quantities or (price is not None and item.price not in (None, price)):
        same = item.price == price and item.quantities.get(location) == quantity
        if not same:
            rejected.add(sku)
            return wrong(f"the SKU was in line {item.line} already, with other values: neither is used")
        return wrong(f"the SKU was in line {item.line} already, with the same values")
    if price is not None:
        item.price = price
    if quantity is not None:
        item.quantities[location] = quantity
    return sku, None


def parse_price(text: str, decimal: str = "auto") -> Optional[Decimal]:
    if not text:
        return None
    number = parse_number(text, decimal, "price")
    if number < 0:
        raise ValueError(f"the price {text!r} is negative")
    if number != round(number, 2):
        raise ValueError(f"the price {text!r} has more than two decimals")
    return number


def parse_quantity(text: str, decimal: str = "auto") -> Optional[int]:
    if not text:
        return None
    number = parse_number(text, decimal, "quantity")
    if number != int(number):
        raise ValueError(f"the quantity {text!r} is no whole number")
    if not 0 <= number <= MAX_QUANTITY:
        raise ValueError(f"the quantity {text!r} is not between 0 and {MAX_QUANTITY}")
    return int(number)


# A currency's sign or its three letters, before or after the number; spaces of all kinds are dropped first.
NUMBER = re.compile(r"(?:[^\W\d_]{1,3}\.?|[$£€¥₹₽₩₺₴₦₪฿₫₱¢])?([+-]?)(?:[$£€¥₹₽₩₺₴₦₪฿₫₱¢])?([\d.,']*\d[\d.,']*?)(?:[^\W\d_]{1,3}\.?|[$£€¥₹₽₩₺₴₦₪฿₫₱¢]|,-|\.-)?")


def parse_number(text: str, decimal: str, what: str) -> Decimal:
    """Reads a number as people write it. What can be read in two ways is an error, for a price that is a thousand
    times too high or too low is worse than one that is not updated."""
    bad = ValueError(f"the {what} {text!r} is not a number")
    match = NUMBER.fullmatch(re.sub(r"\s", "", text).replace("\u2212", "-").replace("\u2019", "'"))
    if not match:
        raise bad
    sign, digits = match.groups()
    grouped = "'" in digits
    digits = digits.replace("'", "")
    points, commas = digits.count("."), digits.count(",")
    if decimal != "auto":
        mark = "." if decimal == "point" else ","
    elif points and commas:
        mark = max(".,", key=digits.rfind)  # the last one
    elif points + commas > 1:
        mark = "," if points else "."  # what is there several times groups thousands
    elif re.fullmatch(r"\d{1,3}[.,]\d{3}", digits) and not digits.startswith("0") and not grouped:
        raise ValueError(f"the {what} {text!r} can be read in two ways: say --decimal point or --decimal comma")
    else:
        mark = "," if commas else "."
    group = "," if mark == "." else "."
    whole, _, fraction = digits.partition(mark)
    if group in fraction or mark in fraction or not re.fullmatch(r"\d*|[1-9]\d{0,2}(%s\d{3})+" % re.escape(group), whole):
        raise bad
    whole = whole.replace(group, "")
    return Decimal(f"{sign}{whole or '0'}.{fraction or '0'}")
