#!/usr/bin/env python3
"""Writes tables of captions as hostile as real files are, and compares what the library reads of them with what Python's
csv and json modules read of each row.

  python3 tests/tools/hostile_tables.py [--rows 1000000] [--reader build/bin/vlalign_read_pairs]
  python3 tests/tools/hostile_tables.py --fixtures tests/fixtures/pairs      writes the small ones of the unit test

A .csv, a .tsv and a .jsonl of so many rows each hold a byte order mark, all kinds of line ends, quotes, tabs, NUL bytes,
NaN, surrogates, blank captions, stray quotes, bytes that are no UTF-8 and captions of 100 KB; 4 in 100 rows are bad. The
records, their captions in their order, and the lines of the bad rows must be those that this script knows. A table with
6 in 100 bad must be refused. Each is read twice, since a large one is read by its index then. Exits with 1 where anything differs.
"""
import argparse
import csv
import io
import json
import os
import pathlib
import random
import subprocess
import sys
import tempfile
import time
import zlib

WORDS = ["a", "red", "cup", "on", "the", "table", "caf\u00e9", "\u2615", "\u732b", "\u05d7\u05ea\u05d5\u05dc",
         "\U0001f431", "dog's", "50%", "\u00df", "<b>", "&amp;", "\\", "NaN", "null"]


class Rows:
    """Rows of one table with what is to come of them."""

    def __init__(self, seed, long):
        self.random, self.long = random.Random(seed), long
        self.number = 0

    def words(self):
        return " ".join(self.random.choices(WORDS, k=self.random.randint(1, 9)))

    def path(self):
        """Every tenth picture has several rows."""
        self.number += 1
        number = self.random.randrange(self.number) if self.random.random() < 0.1 else self.number - 1
        return f"{number}.png"

    def of(self, kinds):
        return kinds[self.random.randrange(len(kinds))]()


class Delimited(Rows):
    def __init__(self, seed, long, delimiter):
        super().__init__(seed, long)
        self.delimiter = delimiter

    header = property(lambda self: b"\xef\xbb\xbf" + f"filepath{self.delimiter}title".encode())

    def row(self, *fields):
        return self.delimiter.encode().join(each if isinstance(each, bytes) else each.encode() for each in fields)

    def plain(self):
        text = self.words().replace(self.delimiter, " ")
        return self.row(self.path(), text)

    def quoted(self):
        inside = self.random.choice([self.delimiter, "\n", '""', "\t", ",", "; ", "\n\n", '""""'])
        return self.row(self.path(), f'"{self.words()}{inside}{self.words()}"')

    def quoted_path(self):
        return self.row(f'"{self.path()}"', self.words())

    def quotes_in_text(self):
        return self.row(self.path(), f'{self.words()} 12" {self.words()}')

    def text_behind_quote(self):
        return self.row(self.path(), f'"{self.words()}" and {self.words()}')

    def other_delimiter(self):
        return self.row(self.path(), self.words() + ("\t" if self.delimiter == "," else ", ") + self.words())

    def nul(self):
        return self.row(self.path(), self.words() + "\0" + self.words())

    def spaces(self):
        return self.row(self.path(), f"  {self.words()}  ")

    def latin_1_path(self):
        return self.row(b"caf\xe9-" + self.path().encode(), self.words())

    def very_long(self):
        return self.row(self.path(), "x" * self.long)

    def good(self):
        return self.of([self.plain] * 8 + [self.quoted, self.quoted_path, self.quotes_in_text, self.text_behind_quote,
                                           self.other_delimiter, self.nul, self.spaces, self.latin_1_path])

    def guard(self):
        """Stands behind a stray quote, so that no reading of it as the field's end is right."""
        return self.row(self.path(), f'"{self.words()}"')

    def bad(self):
        """Rows, and whether a guard must follow."""
        broken = self.random.choice([b"caf\xe9", b"\xff", b"\xed\xa0\x80", b"\xc3", b"\xf0\x9f\x90", b"\xc0\xaf"])
        return self.of([lambda: (self.path().encode(), False),
                        lambda: (self.row(self.path(), self.words(), "more"), False),
                        lambda: (self.row(self.path(), ""), False),
                        lambda: (self.row(self.path(), " \t " if self.delimiter == "," else "   "), False),
                        lambda: (self.row("", self.words()), False),
                        lambda: (self.row(self.path(), self.words().encode() + broken), False),
                        lambda: (self.row(self.path() + "\0", self.words()), False),
                        lambda: (b"\0" * 30, False),
                        lambda: (self.row(self.path(), f'"{self.words()}'), True)])

    def read(self, row):
        text = io.StringIO(row.decode("utf-8", "surrogateescape"), newline="")
        path, caption = next(csv.reader(text, delimiter=self.delimiter))
        return path, [caption]


class JsonLines(Rows):
    header = b"\xef\xbb\xbf"

    def row(self, path=None, text=None, **more):
        return json.dumps({"file_name": path or self.path(), "text": text or self.words(), **more},
                          ensure_ascii=self.random.random() < 0.5).encode("utf-8", "surrogateescape")

    def very_long(self):
        return self.row(text="x" * self.long)

    def good(self):
        nan, infinity = float("nan"), float("inf")
        return self.of([self.row] * 8 + [
            lambda: self.row(text=[self.words(), self.words()]),
            lambda: self.row(text=[self.words(), "", None]),
            lambda: self.row(score=nan), lambda: self.row(score=[infinity, -infinity, {"NaN": nan}]),
            lambda: self.row(text="NaN Infinity", score=nan),
            lambda: self.row(text='quotes " and \\ and \ttabs'),
            lambda: self.row(text="a\0b"), lambda: self.row(deep=json.loads("[" * 50 + "]" * 50)),
            lambda: self.row(big=10**30),
            lambda: self.row()[:-1] + b', "url": "\\ud800 \\udfff\\ud83d\\udc31"}',
            lambda: self.row()[:-1] + b', "raw": "caf\xe9"}',
            lambda: b'{"text": "not this", ' + self.row()[1:],
            lambda: self.row()[:-1] + b', "large": -1e999}',
            lambda: json.dumps({"file_name": "caf\udce9-" + self.path(), "text": self.words()}).encode()])

    def bad(self):
        caption = self.random.choice([b"NaN", b"Infinity", b"-Infinity", b"null", b"5", b'""', b'"  "', b"[]", b"[NaN]",
                                      b'["a", 3]', b'"\\ud800"', b'"a \\udc00 b"', b'"caf\xe9"', b"{}", b"true", b'[""]'])
        return self.of([lambda: self.row()[:-1], lambda: b'["no", "object"]', lambda: b"\0" * 30, lambda: b"not JSON",
                        lambda: b'{"file_name": "1.png"}', lambda: b'{"text": "a cup"}',
                        lambda: b'{"file_name": NaN, "text": "a cup"}', lambda: b'{"file_name": "", "text": "a cup"}',
                        lambda: b'{"file_name": "1\\u0000.png", "text": "a cup"}',
                        lambda: b'{"file_name": "\\ud800.png", "text": "a cup"}',
                        lambda: b'{"file_name": "1.png", "text": "a\x01cup"}',
                        lambda: b'{NaN: 1, "file_name": "1.png", "text": "a cup"}'] +
                       6 * [lambda: b'{"file_name": "' + self.path().encode() + b'", "text": ' + caption + b"}"]), False

    def read(self, row):
        record = json.loads(row.decode("utf-8", "surrogateescape"))
        captions = record["text"] if isinstance(record["text"], list) else [record["text"]]
        return record["file_name"], [each for each in captions if each and each.strip()]


def write(file, maker, rows, bad_of_100):
    """The records, each with its captions, and the lines of the bad rows."""
    records, bad_lines, line = {}, [], 1
    with open(file, "wb") as out:
        def put(row, end):
            nonlocal line
            out.write(row + end)
            line += row.count(b"\n") + 1

        def put_good(row, end):
            path, captions = maker.read(row)
            records.setdefault(path, []).extend(captions)
            put(row, end)

        if maker.header.strip(b"\xef\xbb\xbf"):
            put(maker.header, b"\r\n")
        else:
            out.write(maker.header)
        for number in range(rows):
            end = maker.random.choices([b"\n", b"\r\n", b"\r"], weights=[8, 4, 1])[0]
            if maker.random.random() < 0.01:
                put(b"  " if end == b"\n" else b"", end)  # a CR and an LF would be one line's end
            if number > 0 and number * bad_of_100 % 100 < bad_of_100:
                bad_lines.append(line)
                row, needs_guard = maker.bad()
                put(row, end)
                if needs_guard:
                    put_good(maker.guard(), end)
            elif number % 20000 == 7:
                put_good(maker.very_long(), end)
            else:
                put_good(maker.good(), end)
        if isinstance(maker, Delimited):
            bad_lines.append(line)
            put(maker.row(maker.path(), '"never closed'), b"\n")
    return records, bad_lines


def makers(long):
    return {"hostile.csv": Delimited(1, long, ","), "hostile.tsv": Delimited(2, long, "\t"),
            "hostile.jsonl": JsonLines(3, long)}


def write_fixtures(folder):
    known = {}
    for name, maker in makers(3000).items():
        records, bad_lines = write(folder / name, maker, 500, 4)
        known[name] = {"bad_lines": bad_lines, "records": [[path.encode("utf-8", "surrogateescape").hex(), captions]
                                                           for path, captions in records.items()]}
    (folder / "hostile.json").write_text(json.dumps(known, indent=0, ensure_ascii=False) + "\n")


def figures_of(records, bad_lines):
    check = 0
    for path, captions in records.items():
        for text in (path, *captions):
            check = zlib.crc32(text.encode("utf-8", "surrogateescape") + b"\n", check)
    lines = zlib.crc32("".join(f"{line}\n" for line in bad_lines).encode())
    return {"records": len(records), "captions": sum(map(len, records.values())), "texts": check,
            "bad": len(bad_lines), "bad_lines": lines}


def compare(reader, rows, folder):
    failed = False
    (folder / "0.png").write_bytes(b"")
    environment = {**os.environ, "XDG_CACHE_HOME": str(folder / "cache")}
    for name, maker in makers(100 * 1024).items():
        known = figures_of(*write(folder / name, maker, rows, 4))
        size = (folder / name).stat().st_size / 1e6
        for _ in range(2):  # a large table the second time by the index that the first has kept
            begin = time.monotonic()
            result = subprocess.run([reader, folder / name], capture_output=True, text=True, env=environment)
            seconds = time.monotonic() - begin
            read = json.loads(result.stdout) if result.returncode == 0 else {"error": result.stderr[-500:]}
            print(f"{name}: {size:.0f} MB, read in {seconds:.1f} s: {json.dumps(read)}", flush=True)
            if read != known:
                failed = True
                print(f"  expected {json.dumps(known)}")
        write(folder / name, maker, min(rows, 10000), 6)
        result = subprocess.run([reader, folder / name], capture_output=True, text=True, env=environment)
        refused = result.returncode == 1 and "records could not be read" in result.stderr
        print(f"{name} with 6 in 100 rows bad: {'refused' if refused else 'NOT REFUSED'}")
        failed = failed or not refused
    return failed


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--reader", default="build/bin/vlalign_read_pairs")
    parser.add_argument("--fixtures", type=pathlib.Path)
    flags = parser.parse_args()
    csv.field_size_limit(1 << 24)
    if flags.fixtures:
        write_fixtures(flags.fixtures)
        return 0
    with tempfile.TemporaryDirectory() as folder:
        return 1 if compare(flags.reader, flags.rows, pathlib.Path(folder)) else 0


if __name__ == "__main__":
    sys.exit(main())
