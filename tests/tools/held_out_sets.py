#!/usr/bin/env python3
"""Trains two steps with several held-out sets, and looks whose figures stand where; then traces the rows that embed wrote.

  python3 tests/tools/held_out_sets.py [--program build/bin/vlalign]

Each set has a number of pairs of its own, by which its figures are known again. Exits with 1 where something is wrong.
"""
import argparse
import json
import pathlib
import struct
import subprocess
import sys
import tempfile

from hostile_flags import png


class Failures(list):
    def expect(self, ok, what):
        if not ok:
            self.append(what)


class Place:
    def __init__(self, program, folder):
        self.program, self.folder = program, folder
        for i in range(8):
            (folder / f"{i}.png").write_bytes(png(30 * i, 255 - 30 * i, 90))
        (folder / "broken.png").write_bytes(b"no picture")
        for name, rows in {"data.tsv": 8, "a.tsv": 5, "b.tsv": 6, "a=b.tsv": 7, "with=sign/c.tsv": 4}.items():
            self.table(name, [f"{i}.png" for i in range(rows)])
        self.table("broken.tsv", ["broken.png", "broken.png"])
        self.table("some.tsv", ["0.png", "broken.png", "2.png"])

    def table(self, name, pictures):
        path = self.folder / name
        path.parent.mkdir(exist_ok=True)
        up = "../" if "/" in name else ""
        path.write_text("filepath\ttitle\n" + "".join(f"{up}{p}\tpicture number {i}\n" for i, p in enumerate(pictures)))

    def run(self, *arguments):
        return subprocess.run([self.program, *arguments], cwd=self.folder, capture_output=True, text=True)

    def train(self, out, *sets):
        tests = [part for one in sets for part in ("--val", one)]
        return self.run("train", "--model", "tiny", "--data", "data.tsv", "--steps", "2", "--batch-size", "4", "--threads",
                        "1", "--out", out, *tests)

    def results(self, out):
        return json.loads((self.folder / out / "eval.json").read_text())


def check_figures(place, failures):
    def pairs(out, *sets):
        """The pairs of the first set, then of the others by their names."""
        call = place.train(out, *sets)
        failures.expect(call.returncode == 0, f"{sets}: {call.stderr}")
        if call.returncode != 0:
            return None
        results = place.results(out)
        return results["pairs"], {name: part["pairs"] for name, part in results.items()
                                  if isinstance(part, dict) and "pairs" in part}

    for out, sets, right in [
        ("one", ["a.tsv"], (5, {})),
        ("two", ["a.tsv", "b.tsv"], (5, {"b": 6})),
        ("named", ["first=a.tsv", "second=b.tsv", "third=data.tsv"], (5, {"second": 6, "third": 8})),
        ("sign", ["a=b.tsv"], (7, {})),
        ("folder", ["with=sign/c.tsv", "x=a=b.tsv"], (4, {"x": 7})),
    ]:
        got = pairs(out, *sets)
        failures.expect(got == right, f"{sets}: expected {right}, got {got}")


def check_refusals(place, failures):
    for sets, words in [
        (["pairs=a.tsv"], '"pairs" is a key of eval.json'),
        (["run=a.tsv", "b.tsv"], '"run" is a key of eval.json'),
        (["x=a.tsv", "x=b.tsv"], '"x" names both a.tsv and b.tsv'),
        (["a.tsv", "with=sign/../a.tsv"], '"a" names both'),
        (["=a.tsv"], "expected NAME=DATA"),
        (["broken.tsv"], "pictures can be read"),
        (["nowhere.tsv"], "nowhere.tsv"),
    ]:
        call = place.train("refused", *sets)
        failures.expect(call.returncode == 1 and words in call.stderr, f"{sets}: {call.returncode} {call.stderr}")
        failures.expect(not (place.folder / "refused").exists(), f"{sets}: trained before it was refused")
    (place.folder / "taken" / "eval.json").mkdir(parents=True)
    call = place.train("taken", "a.tsv")
    failures.expect(call.returncode == 1 and "eval.json" in call.stderr, f"a folder at eval.json: {call.stderr}")
    failures.expect(not (place.folder / "taken" / "checkpoints").exists(), "trained though eval.json can't be written")


def read_tensors(file):
    data = file.read_bytes()
    size, = struct.unpack("<Q", data[:8])
    header = json.loads(data[8:8 + size])
    return {name: (one["shape"], data[8 + size + one["data_offsets"][0]:8 + size + one["data_offsets"][1]])
            for name, one in header.items() if name != "__metadata__"}


def check_rows(place, failures):
    call = place.run("embed", "--model", "one/model", "--data", "some.tsv", "--out", "rows.safetensors")
    failures.expect(call.returncode == 0, f"embed: {call.stderr}")
    tensors = read_tensors(place.folder / "rows.safetensors")
    shape, numbers = tensors["record"]
    failures.expect(shape == [2] and struct.unpack("<2q", numbers) == (0, 2), f"record: {shape} {numbers}")
    (rows, longest), names = tensors["name"]
    names = [names[i * longest:(i + 1) * longest].rstrip(b"\0").decode() for i in range(rows)]
    failures.expect([name[-5:] for name in names] == ["0.png", "2.png"], f"name: {names}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--program", default="build/bin/vlalign")
    program = str(pathlib.Path(parser.parse_args().program).resolve())
    failures = Failures()
    with tempfile.TemporaryDirectory() as folder:
        place = Place(program, pathlib.Path(folder))
        check_figures(place, failures)
        check_refusals(place, failures)
        check_rows(place, failures)
    print("\n".join(failures) if failures else "each held-out set's figures, refusals and rows are right")
    sys.exit(bool(failures))


if __name__ == "__main__":
    main()
