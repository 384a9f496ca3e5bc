#!/usr/bin/env python3
"""What `embed --format` writes and `search` finds, read by others.

  python3 tests/tools/embedding_files.py [--program build/bin/vlalign]

The .npy files are read by numpy.lib.format's page, and by NumPy itself where Python has it; the .parquet files by
pyarrow where Python has that. Scores of `search` are compared with products of the embeddings worked out here in
double precision. The pictures and the model are made on the fly. Ends with 1 at the first thing that differs.
"""
import argparse
import ast
import json
import math
import pathlib
import struct
import subprocess
import sys
import tempfile
import zlib

try:
    import numpy
except ImportError:
    numpy = None
try:
    import pyarrow.parquet as parquet
except ImportError:
    parquet = None

TITLES = ["red", "green", "blue", "white", "gr\u00fcn und \"gelb\"", "black"]


def png(red, green, blue, side=16):
    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
    rows = b"".join(b"\0" + bytes((red, green * y // side, blue)) * side for y in range(side))
    return (b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)) +
            chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b""))


def same(found, expected, what):
    if found != expected:
        sys.exit(f"{what}: expected {expected!r}, got {found!r}")


def near(found, expected, margin, what):
    if not math.isclose(found, expected, rel_tol=0, abs_tol=margin):
        sys.exit(f"{what}: expected {expected}, got {found}")


def read_npy(path):
    """Rows of float16 numbers, as they are in the file."""
    data = path.read_bytes()
    same(data[:8], b"\x93NUMPY\x01\x00", f"{path}: magic")
    size, = struct.unpack("<H", data[8:10])
    same((10 + size) % 64, 0, f"{path}: alignment")
    header = ast.literal_eval(data[10:10 + size].decode("ascii"))
    same((header["descr"], header["fortran_order"]), ("<f2", False), f"{path}: header")
    n, d = header["shape"]
    same(len(data), 10 + size + 2 * n * d, f"{path}: size")
    numbers = struct.unpack(f"<{n * d}e", data[10 + size:])
    if numpy is not None:
        same(numpy.load(path).tolist(), [list(numbers[i * d:(i + 1) * d]) for i in range(n)], f"{path} by NumPy")
    return [numbers[i * d:(i + 1) * d] for i in range(n)]


def read_safetensors(path):
    data = path.read_bytes()
    size, = struct.unpack("<Q", data[:8])
    header = json.loads(data[8:8 + size])
    rows = {}
    for name in ("image_embedding", "text_embedding"):
        same(header[name]["dtype"], "F32", name)
        n, d = header[name]["shape"]
        begin, end = header[name]["data_offsets"]
        numbers = struct.unpack(f"<{n * d}f", data[8 + size + begin:8 + size + end])
        rows[name] = [numbers[i * d:(i + 1) * d] for i in range(n)]
    return rows


class Work:
    def __init__(self, program, folder):
        self.program, self.folder = program, folder
        (folder / "pictures").mkdir()
        for i in range(len(TITLES)):
            (folder / f"pictures/{i}.png").write_bytes(png(40 * i, 255 - 30 * i, (90 * i) % 256))
        lines = [f"pictures/{i}.png\t{title}" for i, title in enumerate(TITLES)]
        quoted = [line if '"' not in line else line.replace('"', "'") for line in lines]
        (folder / "pairs.tsv").write_text("filepath\ttitle\n" + "\n".join(quoted) + "\n", encoding="utf-8")
        self.titles = [title.replace('"', "'") for title in TITLES]
        self.run("train", "--model", "tiny", "--data", folder / "pairs.tsv", "--steps", "2", "--batch-size", "4",
                 "--threads", "1", "--out", folder / "run")
        self.model = ["--model", folder / "run/model", "--threads", "1"]

    def run(self, *words, status=0):
        done = subprocess.run([self.program, *map(str, words)], capture_output=True, text=True, timeout=300)
        same(done.returncode, status, f"{' '.join(map(str, words))}: {done.stderr}")
        return done

    def embed(self, *words, status=0):
        return self.run("embed", *self.model, "--data", self.folder / "pairs.tsv", *words, status=status)

    def search(self, *words, status=0):
        return self.run("search", *self.model, "--images", self.folder / "pictures", *words, status=status)

    def hits(self, *words):
        return json.loads(self.search("--json", *words).stdout)


def check_names(metadata, work):
    file = metadata / "metadata_0.parquet"
    same([path.name for path in metadata.iterdir() if path != file], [] if file.exists() else ["metadata_0.jsonl"], metadata)
    if file.exists():
        same(file.read_bytes()[:4] + file.read_bytes()[-4:], b"PAR1PAR1", file)
        if parquet is None:
            return
        table = parquet.read_table(file)
        same(table.column_names, ["image_path", "caption"], file)
        rows = table.to_pylist()
    else:
        rows = [json.loads(line) for line in (metadata / "metadata_0.jsonl").read_text(encoding="utf-8").splitlines()]
    same([row["caption"] for row in rows], work.titles, file)
    same([pathlib.Path(row["image_path"]).name for row in rows], [f"{i}.png" for i in range(len(TITLES))], file)


def check_formats(work):
    out = work.folder / "out.safetensors"
    work.embed("--out", out)
    rows = read_safetensors(out)
    npy = work.folder / "npy"
    for _ in range(2):  # the second replaces the first
        same(json.loads(work.embed("--format", "npy", "--out", npy, "--json").stdout)["pairs"], len(TITLES), "pairs")
    for part, name in (("img_emb", "image_embedding"), ("text_emb", "text_embedding")):
        halves = [tuple(struct.unpack("<e", struct.pack("<e", x))[0] for x in row) for row in rows[name]]
        same(read_npy(npy / part / f"{part}_0.npy"), halves, part)
    check_names(npy / "metadata", work)
    if (npy / "metadata/metadata_0.parquet").exists():
        tables = work.folder / "parquet"
        work.embed("--format", "parquet", "--out", tables)
        check_names(tables / "metadata", work)
        for part, name in (("img_emb", "image_embedding"), ("text_emb", "text_embedding")):
            if parquet is not None:
                found = parquet.read_table(tables / part / f"{part}_0.parquet")["embedding"].to_pylist()
                same([tuple(row) for row in found], rows[name], part)
    (npy / "mine.txt").write_text("mine")
    work.embed("--format", "npy", "--out", npy, status=1)
    same((npy / "mine.txt").read_text(), "mine", "what was in the folder")
    work.embed("--format", "npy", "--out", out, status=1)
    work.embed("--format", "npy", "--pixels", "--out", work.folder / "new", status=2)
    work.embed("--format", "csv", "--out", work.folder / "new", status=2)
    same((work.folder / "new").exists(), False, "an output of wrong usage")
    return rows


def check_search(work, rows):
    def unit(row):
        length = math.sqrt(sum(x * x for x in row))
        return [x / length for x in row]

    def expect(found, query):
        scores = [(str(work.folder / f"pictures/{i}.png"), math.fsum(a * b for a, b in zip(unit(query), row)))
                  for i, row in enumerate(rows["image_embedding"])]
        scores.sort(key=lambda hit: -hit[1])
        for hit, (path, score) in zip(found, scores):
            near(hit["score"], score, 1e-5, path)
            near(dict(scores)[hit["path"]], hit["score"], 1e-5, path)
        same(len(found), min(5, len(scores)), "hits")

    red, green = rows["text_embedding"][0], rows["text_embedding"][1]
    picture = rows["image_embedding"][2]
    index = ["--index", work.folder / "index"]
    for extra in ([], index, index):
        expect(work.hits("red", *extra), red)
        expect(work.hits("red", "--without", "green", *extra), [a - b for a, b in zip(red, green)])
        expect(work.hits("--image", work.folder / "pictures/2.png", *extra), picture)
        expect(work.hits("red", "green", "--image", work.folder / "pictures/2.png", *extra),
               [a + b + c for a, b, c in zip(red, green, picture)])
    same(len(list((work.folder / "index").iterdir())), 1, "files of the index")
    work.search(status=2)
    work.search("--without", "red", status=2)
    work.search("red", "--index", "", status=2)
    work.search("red", "--without", "red", status=1)
    work.search("red", "--index", work.folder / "pairs.tsv", status=1)
    work.search("--image", work.folder / "pairs.tsv", status=1)
    same((work.folder / "pairs.tsv").read_text(encoding="utf-8").startswith("filepath"), True, "the pairs")
    found = json.loads(work.run("bench", "search", "--n", "20000", "--dim", "64", "--json").stdout)
    same((found["n"], found["dim"], found["k"]), (20000, 64, 5), "bench search")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--program", default="build/bin/vlalign")
    program = pathlib.Path(parser.parse_args().program).resolve()
    with tempfile.TemporaryDirectory() as folder:
        work = Work(program, pathlib.Path(folder))
        check_search(work, check_formats(work))
    print("all as expected" + ("" if numpy and parquet else " (without NumPy or pyarrow, which Python hasn't got)"))


if __name__ == "__main__":
    main()
