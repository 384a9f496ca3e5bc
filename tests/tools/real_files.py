#!/usr/bin/env python3
"""Runs the program on what real files and real habits do to it, and compares what it says with what is right.

  python3 tests/tools/real_files.py [--program build/bin/vlalign]

The pictures, tables, shards and a model are made on the fly. Exits with 1 where anything differs.
"""
import argparse
import io
import json
import os
import pathlib
import subprocess
import sys
import tarfile
import tempfile

from hostile_flags import png

COLOURS = {"red": (255, 0, 0), "green": (0, 255, 0), "blue": (0, 0, 255), "white": (255, 255, 255)}
NAMES = list(COLOURS) * 10


class Checks:
    def __init__(self, program, folder):
        self.program, self.folder, self.failed = program, folder, 0

    def write(self, name, contents):
        file = os.fsencode(self.folder) + b"/" + (name if isinstance(name, bytes) else name.encode())
        with open(file, "wb") as out:
            out.write(contents if isinstance(contents, bytes) else contents.encode())
        return file

    def run(self, *arguments, status=0):
        result = subprocess.run([self.program, *arguments, "--threads", "1"], capture_output=True)
        if result.returncode != status:
            self.failed += 1
            print(f"{arguments}: ended with {result.returncode}, expected {status}: {result.stderr.decode(errors='replace')}")
        return result

    def json_of(self, *arguments):
        result = self.run(*arguments, "--json")
        return json.loads(result.stdout) if result.returncode == 0 else {}

    def expect(self, what, value, right):
        if value != right:
            self.failed += 1
            print(f"{what}: got {value!r}, expected {right!r}")

    def make_pictures(self):
        os.mkdir(self.folder / "img")
        for i, name in enumerate(NAMES):
            self.write(f"img/{i}.png", png(*COLOURS[name]))

    def table(self, separator, labels=NAMES):
        return f"filepath{separator}title\n" + "".join(f"img/{i}.png{separator}{name}\n" for i, name in enumerate(labels))

    def train(self, data, out, *more, status=0):
        return self.run("train", "--model", "tiny", "--data", data, "--steps", "2", "--batch-size", "8", "--out", out, *more,
                        status=status)


def shard(pictures, captions):
    contents = io.BytesIO()
    with tarfile.open(fileobj=contents, mode="w") as tar:
        for key, (picture, caption) in enumerate(zip(pictures, captions)):
            for ending, data in (("png", picture), ("json", caption)):
                member = tarfile.TarInfo(f"{key:04}.{ending}")
                member.size = len(data)
                tar.addfile(member, io.BytesIO(data))
    return contents.getvalue()


def check_reports(checks):
    """The report's title is the run folder's own name, also behind a slash."""
    checks.train(checks.pairs, os.fsencode(checks.folder / "mine") + b"/")
    report = (checks.folder / "mine" / "report.html").read_text()
    checks.expect("the report's title", "<title>mine</title>" in report, True)
    checks.model = checks.folder / "mine" / "model"


def check_counts(checks):
    """Pairs and bad records of each table, and of several joined."""
    pairs_of = lambda *data: checks.json_of("eval", "--model", checks.model, "--data", *data)
    rows = [json.dumps({"file_name": f"img/{i}.png", "text": name, "score": float("nan")}) for i, name in enumerate(NAMES)]
    checks.write("nan.jsonl", "\n".join(rows))
    bad = rows[:5] + [rows[5].replace('"green"', "NaN")] + rows[6:]
    checks.write("bad.jsonl", "\n".join(bad))
    checks.write("bad.tsv", checks.table("\t").replace("img/7.png\twhite", "img/7.png"))
    checks.write("bars.csv", checks.table("|"))
    pictures = [png(*COLOURS[name]) for name in NAMES]
    good = [json.dumps({"caption": name}).encode() for name in NAMES]
    checks.write("a.tar", shard(pictures, good[:3] + [b'{"caption": NaN}'] + good[4:]))
    checks.write("b.tar", shard(pictures, good))
    at = lambda name: str(checks.folder / name)
    for data, pairs, skipped in ((at("tabs.csv"), 40, 0), (at("nan.jsonl"), 40, 0), (at("bad.jsonl"), 39, 1),
                                 (at("bad.tsv"), 39, 1), (at("a.tar"), 39, 1), (at("?.tar"), 79, 1),
                                 (at("bad.tsv") + "::" + at("b.tar"), 79, 1)):
        scores = pairs_of(data)
        checks.expect(data, (scores.get("pairs"), scores.get("skipped")), (pairs, skipped))
    checks.expect("--separator", pairs_of(at("bars.csv"), "--separator", "|").get("pairs"), 40)
    checks.expect("--separator \\t", pairs_of(at("tabs.csv"), "--separator", "\\t").get("pairs"), 40)
    checks.run("eval", "--model", checks.model, "--data", at("bars.csv"), status=1)
    checks.run("eval", "--model", checks.model, "--data", at("bars.csv"), "--separator", "ab", status=2)


def check_classes(checks):
    """A byte order mark, line ends, equal names and numbers are all the same to the score."""
    scores_of = lambda data, classes: checks.json_of("zero-shot", "--model", checks.model, "--data", data, "--classes",
                                                     checks.write("classes.txt", classes))
    numbers = checks.write("numbers.csv", checks.table(",", [list(COLOURS).index(name) for name in NAMES]))
    plain = scores_of(checks.pairs, "\n".join(COLOURS))
    for what, data, classes in (("a byte order mark", checks.pairs, "\ufeff" + "\n".join(COLOURS)),
                                ("CRLF", checks.pairs, "\r\n".join(COLOURS) + "\r\n"),
                                ("numbers", numbers, "\n".join(COLOURS))):
        checks.expect(what, scores_of(data, classes), plain)
    twice = scores_of(checks.pairs, "\n".join([*COLOURS, "red"]))
    checks.expect("a class named twice", twice.get("top1"), plain.get("top1"))


def check_latin_1(checks):
    """Folders whose names are no UTF-8: a run there resumes, and what is written is JSON."""
    place = os.fsencode(checks.folder) + b"/caf\xe9"
    os.mkdir(place)
    os.symlink(b"../img", place + b"/img")
    with open(place + b"/pairs.tsv", "w") as table:
        table.write(checks.table("\t"))
    checks.train(place + b"/pairs.tsv", place + b"/run", "--val", b"caf\xe9=" + place + b"/pairs.tsv")
    checks.train(place + b"/pairs.tsv", place + b"/run", "--resume", "--val", b"caf\xe9=" + place + b"/pairs.tsv")
    with open(place + b"/run/config.json", "rb") as file:
        checks.expect("data", json.load(file)["data"], (place + b"/pairs.tsv").decode(errors="replace"))
    with open(place + b"/run/eval.json", "rb") as file:
        checks.expect("pairs", json.load(file)["pairs"], 40)
    embedded = checks.json_of("embed", "--model", place + b"/run/model", "--data", place + b"/pairs.tsv", "--out",
                              place + b"/e.safetensors")
    checks.expect("out", embedded.get("out"), (place + b"/e.safetensors").decode(errors="replace"))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--program", default="build/bin/vlalign")
    flags = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        checks = Checks(os.path.abspath(flags.program), pathlib.Path(folder))
        checks.make_pictures()
        checks.pairs = checks.write("tabs.csv", checks.table("\t"))
        for check in (check_reports, check_counts, check_classes, check_latin_1):
            check(checks)
    print("all as it should be" if checks.failed == 0 else f"{checks.failed} checks failed")
    return 1 if checks.failed else 0


if __name__ == "__main__":
    sys.exit(main())
