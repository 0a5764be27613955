import http.client
import io
import unittest
import urllib.error
from decimal import Decimal
from email.message import Message
from unittest import mock

import sheet
from sheet import SheetError, parse_price, parse_quantity, read


def items(text, **options):
    return read(text.encode() if isinstance(text, str) else text, **options)


class Numbers(unittest.TestCase):
    def test_prices_as_people_write_them(self):
        for text, price in {
            "12.50": "12.5", "12,50": "12.5", "€ 12,50": "12.5", "$12.5": "12.5", "12.50 USD": "12.5", "CHF 1'234.50": "1234.5",
            "1,234.56": "1234.56", "1.234,56": "1234.56", "1 234,56": "1234.56", "1\u00a0234,5 kr": "1234.5", "1,234,567": "1234567",
            "0,5": "0.5", ".5": "0.5", "7": "7", "0": "0", "12,-": "12", "0.125,00": None, "1.2.3": None, "abc": None, "#N/A": None,
            "-1": None, "1,23,456": None, "12.345.6": None, "1e3": None, "12.5%": None, "1/2": None, "12..5": None, "--5": None,
            "0.999": None, "12.3456": None,
        }.items():
            with self.subTest(text):
                if price is None:
                    self.assertRaises(ValueError, parse_price, text)
                else:
                    self.assertEqual(parse_price(text), Decimal(price))

    def test_what_can_be_read_in_two_ways_is_asked_about(self):
        for text in ("1.234", "1,234", "$12,345"):
            with self.subTest(text), self.assertRaisesRegex(ValueError, "two ways"):
                parse_price(text)
        self.assertEqual(parse_price("1.234", "comma"), 1234)
        self.assertEqual(parse_price("1,234", "point"), 1234)
        self.assertRaisesRegex(ValueError, "more than two decimals", parse_price, "1.234", "point")
        self.assertRaises(ValueError, parse_price, "12,50", "point")

    def test_quantities(self):
        for text, quantity in {"12": 12, "12.0": 12, "0": 0, "1 200": 1200, "-1": None, "1.5": None, "many": None, "9999999999": None}.items():
            with self.subTest(text):
                if quantity is None:
                    self.assertRaises(ValueError, parse_quantity, text)
                else:
                    self.assertEqual(parse_quantity(text), quantity)

    def test_an_empty_cell_leaves_what_is_there(self):
        self.assertIsNone(parse_price(""))
        self.assertIsNone(parse_quantity(""))


class Reading(unittest.TestCase):
    def test_marks_and_encodings(self):
        for body in ("\ufeffSKU,Price\nÄ1,2", "SKU;Price\r\nÄ1;2\r\n", "SKU\tPrice\nÄ1\t2\n"):
            for encoding in ("utf-8", "utf-16", "cp1252"):
                if encoding == "cp1252" and body[0] == "\ufeff":
                    continue
                with self.subTest(body=body, encoding=encoding):
                    self.assertEqual([(i.sku, i.price) for i in items(body.encode(encoding)).items], [("Ä1", 2)])

    def test_quoted_newlines_and_quotes_keep_the_lines(self):
        s = items('Name,SKU,Qty\n"two\nlines","A ""1""",3\n\n"x, y",B,?\n')
        self.assertEqual([(i.sku, i.line, i.quantities) for i in s.items], [('A "1"', 2, {"": 3})])
        self.assertEqual([(p.line, p.sku) for p in s.problems], [(5, "B")])

    def test_duplicates(self):
        s = items("sku,price\nA,1\nB,2\nA,1\nB,3\nB,2\n")
        self.assertEqual([(i.sku, i.price) for i in s.items], [("A", 1)])
        self.assertEqual([(p.line, p.sku) for p in s.problems], [(4, "A"), (5, "B"), (6, "B")])

    def test_a_row_for_each_location(self):
        s = items("sku,price,qty,location\nA,1,5,North\nA,,6,South\nA,1,7,North\nB,1,1,North\nB,2,1,South\n")
        self.assertEqual([p.line for p in s.problems], [4, 6])
        self.assertEqual(s.items, [])
        s = items("sku,price,qty,location\nA,1,5,North\nA,,6,South\n")
        self.assertEqual([i.quantities for i in s.items], [{"North": 5, "South": 6}])

    def test_bad_rows_are_left_out_and_said(self):
        s = items("SKU,Price,Qty\n,1,1\nA,x,1\n1.23E+11,1,1\nB,1\nC\n")
        self.assertEqual([(i.sku, i.price, i.quantities) for i in s.items], [("B", 1, {}), ("C", None, {})])
        self.assertEqual([p.line for p in s.problems], [2, 3, 4])

    def test_columns(self):
        self.assertEqual(items("Variant SKU,Variant Price,Variant Inventory Qty\nA,1,2\n").columns,
                         {"sku": "Variant SKU", "price": "Variant Price", "quantity": "Variant Inventory Qty"})
        self.assertEqual(items("Nr,VK\nA,1\n", names={"sku": "nr", "price": "vk"}).items[0].price, 1)
        for text, names in (("Name,Price\nA,1\n", {}), ("SKU,Name\nA,1\n", {}), ("SKU,Stock,Qty\nA,1,2\n", {}), ("SKU,Price\nA,1\n", {"quantity": "Lager"}),
                            ("", {}), ("SKU,Price\n\"A,1\n", {}), ("SKU,Price\nA\0,1\n", {})):
            with self.subTest(text):
                self.assertRaises(SheetError, items, text, names=names)

    def test_the_digest_is_of_what_the_sheet_says(self):
        one = items("sku,price,note\nA,1,x\n").digest()
        self.assertEqual(one, items("note;sku;price\n\n;A;1\n").digest())
        self.assertNotEqual(one, items("sku,price\nA,2\n").digest())

    def test_a_web_page_is_no_sheet(self):
        answer = mock.MagicMock()
        answer.__enter__.return_value = answer
        answer.read.return_value = b"<!DOCTYPE html>"
        answer.headers = Message()
        answer.headers["Content-Length"] = "15"
        with mock.patch.object(sheet.urllib.request, "urlopen", return_value=answer), self.assertRaisesRegex(SheetError, "Publish to web"):
            sheet.fetch("https://docs.google.com/spreadsheets/d/x/pubhtml")
        del answer.headers["Content-Length"]
        answer.read.return_value = b"sku,price\nA,1"
        with mock.patch.object(sheet.urllib.request, "urlopen", return_value=answer):
            self.assertRaisesRegex(sheet.NoSheet, "cut short", sheet.fetch, "http://x/sheet.csv")
        for code, error in ((404, SheetError), (403, SheetError), (429, sheet.NoSheet), (503, sheet.NoSheet)):
            failure = urllib.error.HTTPError("http://x", code, "m", Message(), io.BytesIO())
            with mock.patch.object(sheet.urllib.request, "urlopen", side_effect=failure):
                self.assertRaises(error, sheet.fetch, "http://x/sheet.csv")
        for failure in (http.client.IncompleteRead(b"x"), ConnectionResetError(), urllib.error.URLError("refused"), TimeoutError()):
            with mock.patch.object(sheet.urllib.request, "urlopen", side_effect=failure):
                self.assertRaises(sheet.NoSheet, sheet.fetch, "http://x/sheet.csv")
        self.assertRaisesRegex(SheetError, "cannot read", sheet.fetch, "/nonexistent/sheet.csv")


if __name__ == "__main__":
    unittest.main()
