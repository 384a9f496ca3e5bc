#!/usr/bin/env python3
"""What `quantize` makes, and what runs in int8 afterwards:

  python3 tests/tools/quantized_model.py [--program build/bin/vlalign]

Embeddings in int8 are compared with those in float32 by cosines worked out here in double precision. The pictures and
the model are made on the fly. Ends with 1 at the first thing that differs.
"""
import argparse
import json
import math
import pathlib
import subprocess
import sys
import tempfile

from embedding_files import png, read_safetensors, same

WORDS = ["red", "green", "blue", "white", "black", "grey"]


class Work:
    def __init__(self, program, folder):
        self.program, self.folder = program, folder
        (folder / "pictures").mkdir()
        lines = []
        for i in range(36):
            (folder / f"pictures/{i}.png").write_bytes(png(7 * i, 255 - 5 * i, (90 * i) % 256))
            lines.append(f"pictures/{i}.png\ta {WORDS[i % 6]} thing on a {WORDS[i // 6]} table")
        (folder / "pictures/bad.png").write_bytes(b"no picture")
        (folder / "pairs.tsv").write_text("filepath\ttitle\n" + "\n".join(lines) + "\n")
        (folder / "with_bad.tsv").write_text("filepath\ttitle\npictures/bad.png\tbad\n" + "\n".join(lines) + "\n")
        self.run("train", "--model", "tiny", "--data", folder / "pairs.tsv", "--steps", "4", "--batch-size", "12",
                 "--threads", "1", "--out", folder / "run")
        self.model = folder / "run/model"

    def run(self, *words, status=0):
        done = subprocess.run([self.program, *map(str, words)], capture_output=True, text=True, timeout=300)
        same(done.returncode, status, f"{' '.join(map(str, words))}: {done.stderr}")
        return done

    def quantize(self, *words, data="pairs.tsv", status=0):
        return self.run("quantize", "--model", self.model, "--calibrate", self.folder / data, *words, status=status)

    def embed(self, model, precision, status=0):
        out = self.folder / "out.safetensors"
        done = self.run("embed", "--model", model, "--data", self.folder / "pairs.tsv", "--precision", precision,
                        "--threads", "1", "--out", out, status=status)
        return done if status else read_safetensors(out)


def mean_cosine(a, b):
    def cosine(x, y):
        dot = lambda p, q: math.fsum(i * j for i, j in zip(p, q))
        return dot(x, y) / math.sqrt(dot(x, x) * dot(y, y))
    return math.fsum(cosine(x, y) for x, y in zip(a, b)) / len(a)


def expect_words(done, words):
    if words not in done.stderr:
        sys.exit(f"expected {words!r} in {done.stderr!r}")


def check_figures(work, out):
    found = json.loads(work.quantize("--out", out, "--json").stdout)
    for key in ("image_cosine", "text_cosine"):
        same(0.995 <= found[key] <= 1.0000001, True, f"{key} {found[key]}")
    same(found["int8"], sum(product["int8"] for product in found["products"]), "int8")
    same(found["int8"] > 8, True, "products in int8")
    plain, int8 = work.embed(work.model, "fp32"), work.embed(out, "int8")
    same(work.embed(out, "fp32"), plain, "float32 of the quantized model")
    same(int8 == plain, False, "int8 equals float32")
    for name in plain:
        cosine = mean_cosine(plain[name], int8[name])
        same(cosine >= 0.995, True, f"{name}: cosine {cosine}")


def check_refusals(work, out):
    mine = work.folder / "mine"
    mine.mkdir()
    (mine / "notes.txt").write_text("mine")
    expect_words(work.quantize("--out", mine, status=1), "notes.txt is in it")
    same((mine / "notes.txt").read_text(), "mine", "what was in the folder")
    work.quantize("--out", work.folder / "new", "--cosine", "2", status=2)
    expect_words(work.quantize("--out", work.folder / "new", "--cosine", "1", status=1), "no product can be in int8")
    same((work.folder / "new").exists(), False, "an output of wrong usage")
    expect_words(work.embed(work.model, "int8", status=1), "vlalign quantize")
    expect_words(work.run("train", "--model", "tiny", "--data", work.folder / "pairs.tsv", "--steps", "1", "--batch-size",
                          "4", "--precision", "int8", "--out", work.folder / "new", status=2), "int8 is for inference")
    expect_words(work.run("train", "--init", out, "--data", work.folder / "pairs.tsv", "--steps", "1", "--batch-size", "4",
                          "--out", work.folder / "further"), "quantize it again")
    same((work.folder / "further/model/int8.safetensors").exists(), False, "columns of a model that was trained on")
    expect_words(work.quantize("--out", out, data="with_bad.tsv"), "bad.png")
    columns = out / "int8.safetensors"
    columns.write_bytes(columns.read_bytes()[:100])
    expect_words(work.embed(out, "int8", status=1), "int8.safetensors")
    expect_words(work.run("eval", "--model", out, "--data", work.folder / "pairs.tsv"), "int8.safetensors")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--program", default="build/bin/vlalign")
    program = pathlib.Path(parser.parse_args().program).resolve()
    with tempfile.TemporaryDirectory() as folder:
        work = Work(program, pathlib.Path(folder))
        out = work.folder / "int8"
        check_figures(work, out)
        exported = work.folder / "onnx"
        work.run("export", "--model", out, "--precision", "int8", "--out", exported)
        plain = work.folder / "plain"
        work.run("export", "--model", out, "--out", plain)
        for graph in ("image.onnx", "text.onnx"):
            same(b"QuantizeLinear" in (exported / graph).read_bytes(), True, f"{graph} in int8")
            same(b"QuantizeLinear" in (plain / graph).read_bytes(), False, f"{graph} in float32")
        check_refusals(work, out)
    print("all as expected")


if __name__ == "__main__":
    main()
