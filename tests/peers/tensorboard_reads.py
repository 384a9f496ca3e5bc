#!/usr/bin/env python3
"""Checks that TensorBoard itself reads a run folder, and finds in it what the folder's .jsonl files say.

    pip install tensorboard 'setuptools<81'
    build/bin/vlalign train ... --val NAME=DATA --val-every 20 --norms-every 10 --out RUN
    python3 tests/peers/tensorboard_reads.py RUN

Scalars of steps, validations and norms are compared with metrics.jsonl, validation.jsonl and norms.jsonl, where they are
there. Histograms must add up to as many numbers as they say and to the norms that norms.jsonl has. Pictures, tables and the
projector's files are asked of a TensorBoard that is started on the folder. Ends with 1 when something differs.
"""
import io
import json
import math
import pathlib
import struct
import sys
import time
import urllib.error
import urllib.parse
import urllib.request

from PIL import Image
from tensorboard import program
from tensorboard.backend.event_processing import event_accumulator

FAULTS = []


def expect(holds, what):
    if not holds:
        FAULTS.append(what)


def lines_of(file):
    return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []


def close(a, b):
    """As float32, in which an event holds a scalar; what isn't finite is null in the .jsonl."""
    if b is None:
        return not math.isfinite(a)
    return math.isclose(a, b, rel_tol=1e-6, abs_tol=1e-30) or struct.pack("f", a) == struct.pack("f", b)


class Events:
    def __init__(self, run):
        everything = dict.fromkeys(event_accumulator.STORE_EVERYTHING_SIZE_GUIDANCE, 0)
        self.reader = event_accumulator.EventAccumulator(str(run), size_guidance=everything)
        self.reader.Reload()
        self.tags = self.reader.Tags()

    def scalars(self, tag):
        return {event.step: event.value for event in self.reader.Scalars(tag)} if tag in self.tags["scalars"] else {}

    def histograms(self, tag):
        return {event.step: event.histogram_value for event in self.reader.Histograms(tag)}


def compare(events, tag, expected):
    """expected: a number by step."""
    found = events.scalars(tag)
    expect(found.keys() == expected.keys(), f"{tag}: is there at {len(found)} steps, expected {len(expected)}")
    for step in found.keys() & expected.keys():
        expect(close(found[step], expected[step]), f"{tag}: {found[step]} at step {step}, expected {expected[step]}")


def flat(figures, before=""):
    for key, value in figures.items():
        if isinstance(value, dict):
            yield from flat(value, f"{before}{key}.")
        elif isinstance(value, (int, float)):
            yield before + key, value


def check_steps(events, run):
    metrics = lines_of(run / "metrics.jsonl")
    for key in ("loss", "accuracy", "lr", "logit_scale", "grad_norm", "pairs_per_s") if metrics else ():
        compare(events, f"train/{key}", {line["step"]: line[key] for line in metrics})


def check_validations(events, run):
    lines = lines_of(run / "validation.jsonl")
    names = {line["name"] for line in lines}
    for name in names:
        of_name = {line["step"]: dict(flat(line)) for line in lines if line["name"] == name}
        tags = [tag for tag in events.tags["scalars"] if tag.startswith(name + "/")]
        expect(tags, f"{name}: has no scalars")
        for tag in tags:
            key = tag[len(name) + 1:]
            compare(events, tag, {step: figures[key] for step, figures in of_name.items() if key in figures})
    return names


def check_norms(events, run):
    lines = lines_of(run / "norms.jsonl")
    for group in lines[-1]["groups"] if lines else ():
        for kind in ("parameter", "gradient", "update"):
            compare(events, f"norms/{kind}/{group}", {line["step"]: line["groups"][group][kind] for line in lines})
    for tag in events.tags["histograms"]:
        kind, group = tag.split("/")
        histograms = events.histograms(tag)
        for line in lines:
            check_histogram(f"{tag}: step {line['step']}", histograms.get(line["step"]), line["groups"][group][kind])


def check_histogram(where, histogram, norm):
    if histogram is None:
        return expect(norm is None, f"{where}: isn't there")
    if norm is None:
        return None
    expect(len(histogram.bucket_limit) == len(histogram.bucket), f"{where}: limits and counts differ in number")
    expect(sum(histogram.bucket) == histogram.num, f"{where}: counts don't add up to {histogram.num}")
    expect(sorted(histogram.bucket_limit) == list(histogram.bucket_limit), f"{where}: limits don't increase")
    expect(math.isclose(math.sqrt(histogram.sum_squares), norm, rel_tol=1e-6), f"{where}: isn't that of a norm of {norm}")
    return None


class Server:
    def __init__(self, run):
        board = program.TensorBoard()
        board.configure(argv=["", "--logdir", str(run), "--port", "0", "--load_fast", "false"])
        self.url = board.launch()

    def get(self, path, **query):
        with urllib.request.urlopen(f"{self.url}data/plugin/{path}?{urllib.parse.urlencode(query)}") as answer:
            return answer.read()

    def wait_for(self, path, tag):
        """The run's events are read on a thread of the server's own."""
        for _ in range(100):
            if tag in json.loads(self.get(path)).get(".", ()):
                return True
            time.sleep(0.2)
        return False


def check_retrieved(server, name):
    expect(server.wait_for("text/tags", f"{name}/retrieved"), f"{name}/retrieved: the text page hasn't got it")
    tables = json.loads(server.get("text/text", run=".", tag=f"{name}/retrieved"))
    for table in tables:
        rows = table["text"].count("<tr>")
        expect(2 <= rows <= 9 and table["text"].count("<td>") == 5 * rows, f"{name}/retrieved: {rows} rows of other than 5")
        expect("&lt;strong" not in table["text"], f"{name}/retrieved: Markdown that isn't one")
    pictures = json.loads(server.get("images/images", run=".", tag=f"{name}/pictures", sample=0))
    expect(len(pictures) == 1, f"{name}/pictures: there {len(pictures)} times, expected once")
    for picture in pictures:
        size = Image.open(io.BytesIO(server.get(f"images/individualImage?{picture['query']}&x=1"))).size
        expect(size == (266, 66 * ((rows + 2) // 4) + 2), f"{name}/pictures: {size[0]}x{size[1]} for {rows - 1} pictures")


def check_projector(server, run, name):
    sets = json.loads(server.get("projector/info", run="."))["embeddings"]
    found = [one for one in sets if one["tensorName"] == name]
    expect(len(found) == 1, f"{name}: the projector has it {len(found)} times")
    for one in found:
        points, width = one["tensorShape"]
        tensor = server.get("projector/tensor", run=".", name=name)
        expect(len(tensor) == 4 * points * width, f"{name}: {len(tensor)} bytes of {points} points")
        for point in struct.iter_unpack(f"{width}f", tensor):
            expect(abs(math.fsum(x * x for x in point) - 1) < 1e-3, f"{name}: a point isn't of unit length")
        labels = server.get("projector/metadata", run=".", name=name).decode().splitlines()
        expect(len(labels) == points + 1, f"{name}: {len(labels)} labels with the header, for {points} points")
        expect(all(len(label.split("\t")) == 3 for label in labels), f"{name}: a label hasn't got 3 columns")
        sprite = Image.open(io.BytesIO(server.get("projector/sprite_image", run=".", name=name)))
        side, _ = one["sprite"]["singleImageDim"]
        expect((sprite.width // side) * (sprite.height // side) >= points, f"{name}: the sprite has too few pictures")


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    run = pathlib.Path(sys.argv[1])
    events = Events(run)
    check_steps(events, run)
    names = check_validations(events, run)
    check_norms(events, run)
    server = Server(run)
    for name in sorted(names):
        if f"{name}/retrieved" in events.tags["tensors"]:
            check_retrieved(server, name)
            if (run / "projector_config.pbtxt").exists():
                check_projector(server, run, name)
    print(f"{sum(len(tags) for tags in events.tags.values() if isinstance(tags, list))} tags, {len(names)} validations: {len(FAULTS)} faults")
    sys.exit("\n".join(FAULTS) if FAULTS else 0)


if __name__ == "__main__":
    main()
