import os
import re
import runpy
import sys
import unittest

FOLDER = os.path.dirname(os.path.abspath(__file__))


class Manual(unittest.TestCase):
    def setUp(self):
        with open(os.path.join(FOLDER, "README.md"), encoding="utf-8") as f:
            self.text = f.read()
        path = list(sys.path)
        self.program = runpy.run_path(os.path.join(FOLDER, "__main__.py"), run_name="sheet_sync")
        sys.path[:] = path

    def test_it_names_every_option(self):
        args = self.program["arguments"](["sheet.csv"])
        for name in vars(args):
            if name != "sheet":
                self.assertIn(f"`--{name.replace('_', '-')}", self.text)

    def test_it_names_every_exit_code(self):
        codes = [self.program[name] for name in ("IN_STEP", "PROBLEMS", "WRONG", "LATER", "RUNNING", "STOPPED")]
        self.assertEqual([int(code) for code in re.findall(r"^\| (\d+) \|", self.text, re.M)], codes)

    def test_cells_of_the_report_are_no_formulas(self):
        self.assertEqual([self.program["safe"](cell) for cell in ("=1+1", "@x", "-1+2", "-1", "12", "")], ["'=1+1", "'@x", "'-1+2", "-1", "12", ""])


if __name__ == "__main__":
    unittest.main()
