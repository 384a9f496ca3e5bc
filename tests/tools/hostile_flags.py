#!/usr/bin/env python3
"""Runs the program with flags, files and streams that nobody should give it, and looks at how it fails.

  python3 tests/tools/hostile_flags.py [--quick] [--program build/bin/vlalign] [--verbose]

Every call must end within a minute with 0, 1 (it failed) or 2 (wrong usage), as the list below says; what fails says so
on stderr for a person, in words that no library has for programmers, and prints no result. The pictures and the model
are made on the fly. Prints each call that ended otherwise, and exits with 1 if there is one.
"""
import argparse
import concurrent.futures
import json
import os
import pathlib
import shutil
import struct
import subprocess
import sys
import tempfile
import zlib

RAW = ["[json.exception", "Exception raised from", "terminate called", "what():", "std::", "basic_string", "_M_", "c10::",
       "filesystem error", "Traceback", "Assertion", "dumped", "internal error", "@ 0x", ".cpp:"]
HUGE = ["9223372036854775807", "9223372036854775808", "-9223372036854775809", "1e18", "99999999999999999999"]
NONE = ["-1", "0", "nan", "inf", "", "x", "1.5", " "]


def png(red, green, blue, side=16):
    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
    rows = (b"\0" + bytes((red, green, blue)) * side) * side
    return (b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)) +
            chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b""))


class Place:
    """The files that the calls are given."""

    def __init__(self, program, folder):
        self.program, self.folder = program, folder
        pictures = folder / "pictures"
        pictures.mkdir()
        colours = {"red": (255, 0, 0), "green": (0, 255, 0), "blue": (0, 0, 255), "white": (255, 255, 255)}
        names = []
        for i, (name, rgb) in enumerate(list(colours.items()) * 3):
            (pictures / f"{i}.png").write_bytes(png(*rgb))
            names.append((f"pictures/{i}.png", name))
        self.pairs = folder / "pairs.tsv"
        self.pairs.write_text("filepath\ttitle\n" + "".join(f"{path}\t{title}\n" for path, title in names))
        (folder / "classes.txt").write_text("\n".join(colours) + "\n")
        (folder / "file").write_text("no folder\n")
        (folder / "empty").write_text("")
        (folder / "nothing").mkdir()
        os.symlink("loop", folder / "loop")
        self.train(["--out", folder / "run"], check=True)
        self.model = folder / "run" / "model"
        self.break_models()

    def train(self, arguments, check=False):
        command = [self.program, "train", "--model", "tiny", "--data", self.pairs, "--steps", "2", "--batch-size", "4",
                   "--threads", "1", *arguments]
        return subprocess.run(command, check=check, capture_output=True)

    def break_models(self):
        """Model folders with one file that isn't as it should be."""
        self.broken = []
        config, weights = "open_clip_config.json", "open_clip_model.safetensors"

        def broken(name, file, change):
            copy = self.folder / f"broken-{name}"
            shutil.copytree(self.model, copy)
            change(copy / file)
            self.broken.append(copy)

        def rewritten(**values):
            def change(file):
                tree = json.loads(file.read_text())
                for path, value in values.items():
                    *sections, key = path.split("__")
                    place = tree
                    for section in sections:
                        place = place[section]
                    place[key] = value
                file.write_text(json.dumps(tree))
            return change

        broken("no-config", config, lambda file: file.unlink())
        broken("empty-config", config, lambda file: file.write_text(""))
        broken("cut-config", config, lambda file: file.write_text(file.read_text()[:40]))
        broken("list-config", config, lambda file: file.write_text("[]"))
        broken("bytes-config", config, lambda file: file.write_bytes(b"\xff\xfe\x00"))
        broken("deep-config", config, lambda file: file.write_text("[" * 100000))
        broken("text-width", config, rewritten(model_cfg__text_cfg__width="wide"))
        broken("list-width", config, rewritten(model_cfg__text_cfg__width=[64]))
        broken("no-vision", config, rewritten(model_cfg__vision_cfg=None))
        broken("huge-dim", config, rewritten(model_cfg__embed_dim=2**62))
        broken("huge-layers", config, rewritten(model_cfg__text_cfg__layers=2**40))
        broken("negative-dim", config, rewritten(model_cfg__embed_dim=-1))
        broken("float-dim", config, rewritten(model_cfg__embed_dim=1.5))
        broken("no-heads", config, rewritten(model_cfg__text_cfg__heads=0))
        broken("std-zero", config, rewritten(preprocess_cfg__std=[0, 0, 0]))
        broken("no-weights", weights, lambda file: file.unlink())
        broken("empty-weights", weights, lambda file: file.write_bytes(b""))
        broken("cut-weights", weights, lambda file: file.write_bytes(file.read_bytes()[:-8]))
        broken("long-header", weights, lambda file: file.write_bytes(struct.pack("<Q", 2**63) + file.read_bytes()[8:]))
        broken("zero-weights", weights, lambda file: file.write_bytes(bytes(4096)))
        broken("folder-weights", weights, lambda file: (file.unlink(), file.mkdir()))
        broken("loop-weights", weights, lambda file: (file.unlink(), os.symlink(file.name, file)))
        broken("no-tokenizer", "vocab.json", lambda file: [each.unlink() for each in file.parent.glob("*")
                                                             if each.name not in (config, weights)])
        broken("list-tokenizer", "vocab.json", lambda file: file.write_text("[1]"))

    def open_pairs_that_are_none(self):
        """Locations that are no pairs."""
        bad = {"header.tsv": b"filepath\ttitle\n", "one.tsv": b"filepath\n1.png\n", "bytes.tsv": b"\xff\xfe\t\x00\n",
               "absent.tsv": b"filepath\ttitle\nnowhere.png\twords\n", "no.jsonl": b"{", "list.jsonl": b"[]\n",
               "number.jsonl": b'{"file_name": 1, "text": 2}\n', "null.jsonl": b'{"file_name": null, "text": null}\n',
               "empty.jsonl": b"", "no.tar": b"no archive", "no.tar.gz": b"\x1f\x8b\x08\x00"}
        for name, contents in bad.items():
            (self.folder / name).write_bytes(contents)
        return [self.folder / name for name in bad]

    def bad_places(self):
        """Where nothing can be read."""
        f = self.folder
        return [f / "absent", f / "loop", f / "file" / "below", f / ("n" * 300), f / ("n" * 5000)]


class Call:
    def __init__(self, arguments, status, contains=(), **streams):
        self.arguments = [str(each) if not isinstance(each, bytes) else each for each in arguments]
        self.status, self.contains, self.streams = status, contains, streams

    def faults(self, place):
        result, timed_out = self.run(place)
        if timed_out:
            return ["it took more than a minute"]
        out, err = result.stdout or b"", result.stderr or b""
        said = err.decode(errors="replace")
        faults = []
        if result.returncode not in self.status:
            faults.append(f"ended with {result.returncode}, expected {' or '.join(map(str, self.status))}")
        if result.returncode not in (0, 1, 2):
            faults.append("crashed")
        faults += [f"stderr holds a library's text: {raw}" for raw in RAW if raw in said]
        faults += [f"stderr lacks: {text}" for text in self.contains if text not in said]
        readable = "stderr" not in self.streams
        if result.returncode != 0 and readable and not said.strip():
            faults.append("says nothing")
        if result.returncode != 0 and b"--json" in b" ".join(map(os.fsencode, self.arguments)) and out:
            faults.append("prints a result though it failed")
        if result.returncode == 0 and "--json" in self.arguments and "stdout" not in self.streams:
            faults += self.faults_of_json(out)
        return faults + ([f"  it says: {said.strip()[:500]}"] if faults else [])

    @staticmethod
    def faults_of_json(out):
        try:
            json.loads(out)
        except ValueError:
            return ["stdout is no JSON"]
        return [] if out.count(b"\n") == 1 else ["stdout holds more than one line"]

    def run(self, place):
        streams = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "stdin": subprocess.DEVNULL}
        closed, opened = [], []
        for name, how in self.streams.items():
            number = ("stdin", "stdout", "stderr").index(name)
            if how == "closed":
                closed.append(number)
                streams[name] = None
            elif how == "full":
                opened.append(open("/dev/full", "wb"))
                streams[name] = opened[-1]
            else:  # a pipe that nobody reads any more
                reader, writer = os.pipe()
                os.close(reader)
                opened.append(os.fdopen(writer, "wb"))
                streams[name] = opened[-1]
        command = [place.program, *self.arguments]
        if closed:
            redirections = " ".join(f"{number}{'<' if number == 0 else '>'}&-" for number in closed)
            command = ["bash", "-c", f'exec "$0" "$@" {redirections}', *command]
        try:
            return subprocess.run(command, timeout=60, **streams), False
        except subprocess.TimeoutExpired:
            return None, True
        finally:
            for file in opened:
                file.close()


def calls_for(place):
    """The list: (quick or not, call)."""
    f, model, pairs = place.folder, place.model, place.pairs
    plain = ["--threads", "1"]
    eval_ = ["eval", "--model", model, "--data", pairs, *plain]
    zero = ["zero-shot", "--model", model, "--data", pairs, "--classes", f / "classes.txt", *plain]
    probe = ["linear-probe", "--model", model, "--train", pairs, "--test", pairs, *plain]
    embed = ["embed", "--model", model, "--data", pairs, *plain]
    search = ["search", "--model", model, "--images", f / "pictures", *plain]
    quantize = ["quantize", "--model", model, "--calibrate", pairs]
    step = ["bench", "step", "--model", "tiny"]
    loss = ["bench", "loss", "--n", "8", "--dim", "4", *plain]
    images = ["bench", "images", "--dir", f / "pictures", "--size", "16", "--count", "3"]
    good, failed, usage, either = (0,), (1,), (2,), (1, 2)

    # What it is there for still works, and its JSON is one object.
    for arguments in (eval_, zero, probe, search + ["red"], search + ["red", "--k", HUGE[0]], loss, images,
                      ["inspect", "--model", model], ["inspect", "--model", model, "--parameters"],
                      embed + ["--out", f / "good.safetensors"],
                      ["interpolate", "--model", model, "--with", model, "--out", f / "between"],
                      ["export", "--model", model, "--out", f / "graphs", "--layers", "0,-1", "--normalize"],
                      [*quantize, "--out", f / "int8"]):
        yield False, Call([*arguments, "--json"], good)
    yield True, Call([*eval_, "--json"], good)
    yield False, Call([*eval_, "--pixels-as", "peer", "--json"], good)
    yield False, Call([*eval_, "--pixels-as", "pillow"], usage)
    yield True, Call(["--help"], good)
    yield True, Call(["--version"], good)

    # Streams.
    for arguments in (["--help"], ["--version"], ["eval", "--help"], ["inspect", "--model", model, "--json"]):
        for how in ("full", "closed", "broken"):
            yield True, Call(arguments, failed, ["cannot write to stdout"], stdout=how)
    for arguments in (eval_, zero, probe, search + ["red"], loss, images, embed + ["--out", f / "full.safetensors"],
                      ["convert", "--model", model, "--to", "open_clip", "--out", f / "full-copy"]):
        json_too = [] if arguments[0] == "convert" else ["--json"]
        yield arguments is eval_, Call([*arguments, *json_too], failed, ["cannot write to stdout"], stdout="full")
        yield False, Call([*arguments, *json_too], failed, ["cannot write to stdout"], stdout="broken")
    yield True, Call([*eval_, "--json"], good, stdin="closed")
    yield True, Call([*eval_, "--json"], good, stderr="closed")
    for how in ("closed", "full", "broken"):
        yield True, Call(["eval", "--model", f / "absent", "--data", pairs], failed, stderr=how)
        yield True, Call(["eval", "--nonsense"], usage, stderr=how)
    yield True, Call(["train", "--model", "tiny", "--data", pairs, "--steps", "2", "--batch-size", "4", *plain,
                      "--out", f / "unwatched"], good, stderr="broken")

    # Usage.
    for arguments in ([], ["nonsense"], ["eval"], ["bench"], ["bench", "nonsense"], ["eval", "--model"],
                      ["convert", "--model", model, "--to", "nonsense", "--out", f / "x"], [""], ["--"], ["-"],
                      ["export", "--model", model, "--to", "nonsense", "--out", f / "x"],
                      [*step, "--precision", "int8"], [*quantize, "--cosine", "2", "--out", f / "x"],
                      [b"\xff\xfe"], ["eval", "--model", model, "--model", model, "--data", pairs]):
        yield not arguments, Call(arguments, usage)

    # Numbers.
    numbers = [([*quantize, "--out", f / "x"], "--pairs"), ([*search, "red"], "--k"),
               (step, "--batch-size"), (step, "--steps"), (loss[:2], "--n"),
               (loss[:2], "--dim"), (images[:4], "--size"), (images[:4], "--count"),
               (["bench", "latency", "--model", "tiny"], "--runs"), (probe, "--max-iterations"), (eval_[:-2], "--threads"),
               (step, "--threads")]
    for arguments, flag in numbers:
        for number in (NONE + HUGE[1:]):
            yield flag == "--k" and number in ("0", "1e18"), Call([*arguments, flag, number], either)
    yield True, Call([*eval_[:-2], "--threads", "100000"], usage, ["1024"])
    yield True, Call([*search, "red", "--k", "9223372036854775808"], usage, ["9223372036854775807"])
    for flag, number in (("--seed", "18446744073709551616"), ("--seed", "-1"), ("--seed", ""), ("--lr", ""),
                         ("--steps", "9223372036854775808"), ("--warmup", "")):
        yield flag == "--lr", Call(["train", "--model", "tiny", "--data", pairs, "--out", f / "x", flag, number], usage)
    yield False, Call([*eval_[:-2], "--threads", HUGE[0]], usage)
    yield False, Call([*step, "--micro-batch", "-1"], usage)
    for number in ("nan", "inf", "-inf", "0", "-1", "", "x"):
        yield False, Call([*probe, "--c", number], either)
    for number in ("nan", "inf", "-0.1", "1.1", "", "x"):
        yield False, Call(["interpolate", "--model", model, "--with", model, "--out", f / "none", "--alpha", number], either)
    yield True, Call(["bench", "loss", "--n", "100000000", "--dim", "8192"], failed, ["out of memory"])
    yield False, Call([*step, "--batch-size", "10000000"], either)

    # Recipes.
    train = ["train", "--out", f / "by-recipe"]
    contents = {"cut": b'{"data"', "list": b"[]", "text": b'"data"', "bytes": b"\xff\xfe{", "deep": b'{"val": ' + b"[" * 100000,
                "nested": b'{"val": [["a.tsv"]]}', "object": b'{"data": {"path": "a.tsv"}}', "null": b'{"data": null}',
                "nan": b'{"lr": NaN}', "huge": b'{"steps": 1e400}', "large": b'{"steps": 99999999999999999999}',
                "twice": b'{"lr": 1, "lr": 2}', "key": b'{"": 1}', "dashes": b'{"--lr": 1}', "half": b'{"data": "\\ud800"}',
                "truth": b'{"lr": true}', "positional": b'{"words": "x"}', "help": b'{"help": true}'}
    for name, bytes_ in contents.items():
        (f / f"{name}.json").write_bytes(bytes_)
        yield name in ("deep", "nan"), Call([*train, "--recipe", f / f"{name}.json"], failed, [f"{name}.json"])
    (f / "empty-texts.json").write_text('{"data": "", "val": [""], "model": ""}')
    yield False, Call([*train, "--recipe", f / "empty-texts.json"], usage)
    for place_ in [*place.bad_places(), f / "empty", f / "nothing"]:
        yield False, Call([*train, "--recipe", place_], failed)
        yield False, Call(["train", "--resume", place_], failed)
    for flag in ("--recipe", "--classes", "--best", "--zero-shot"):
        yield False, Call([*train, "--model", "tiny", "--data", pairs, flag, ""], usage)
    for flag in ("--warmup", "--cooldown", "--checkpoint-every", "--keep-last", "--val-every", "--patience", "--norms-every",
                 "--stage", "--beta1", "--momentum"):
        for number in [*NONE, "%", "min", "-1%", "nan%", "1e999min"]:
            if flag != "--warmup" or number != "0":
                yield number == "nan%", Call([*train, "--model", "tiny", "--data", pairs, "--steps", "1", flag, number], either)

    # Words.
    for name in ("", "*", "0*infonce", "nan*infonce", "infonce+", "nonsense", "simclr", "filip", "distill"):
        yield name == "0*infonce", Call(["bench", "loss", "--n", "4", "--dim", "4", "--loss", name], failed)
    for flag, value in (("--precision", ""), ("--precision", "fp64"), ("--device", ""), ("--device", "gpu"),
                        ("--device", "cuda:99999999999"), ("--device", "cuda:-1"), ("--device", "cpu:0")):
        yield False, Call([*eval_, flag, value], failed)
    loader = ["bench", "loader", "--batches", "1", "--batch-size", "1", "--image-size", "32"]
    yield True, Call([*loader, "--data", pairs, "--json"], good)
    yield False, Call([*loader, "--data", pairs, "--batches", "0"], usage)
    yield False, Call([*loader, "--data", pairs, "--ranks", "1000000"], failed)
    yield False, Call([*loader, "--data", pairs, "--first", "-1"], usage)
    yield False, Call([*loader, "--data", f"{pairs}@0"], failed, ["expected a weight above 0"])
    yield False, Call([*loader, "--data", "ftp://host/a.tar"], failed, ["expected http://"])
    yield False, Call([*loader, "--data", "http://host/*.tar"], failed, ["patterns find files and s3://"])
    yield True, Call(["index", pairs], failed, ["tar shards"])
    yield False, Call(["index", f / "none.tar"], failed, ["no such file"])
    yield False, Call(["index", "pipe:cat"], failed, ["can't be indexed"])
    yield False, Call(["index", f / "none.tar", "--where", ""], usage)
    run, page = f / "run", f / "page.html"
    yield True, Call(["report", run, "--out", page], good)
    yield True, Call(["report", model, "--out", page], failed, ["is no run folder"])
    yield False, Call(["report", run, run, "--out", page], failed, ["named twice"])
    yield False, Call(["report", run, "--out", page, "--baseline", f / "nothing"], failed, ["is no run folder"])
    yield False, Call(["report", run, "--out", pairs], failed, ["isn't replaced"])
    yield False, Call(["report", "--out", page], usage)
    yield False, Call(["report", run], usage)
    for mirror in ("", "s3", "http://bucket/run", "/a/mirror", "s3:///run", "s3://"):
        yield mirror == "s3://", Call(["train", "--model", "tiny", "--data", pairs, "--out", f / "mirrored", "--mirror", mirror],
                                      either)
    yield False, Call([*search, ""], usage)
    yield False, Call([*search, b"\xff\xfe", "--json"], good)
    yield True, Call(search, usage)
    yield False, Call([*search, "red", "--without", ""], usage)
    yield False, Call([*search, "--without", "red"], usage)
    yield False, Call([*embed, "--format", "npy", "--out", f / "file"], failed, ["is a file"])
    yield False, Call([*embed, "--format", "parquet", "--out", f / "pictures"], failed, ["isn't replaced"])
    yield False, Call(["bench", "step", "--model", "nonsense"], failed)

    # Places.
    for place_ in ["", *place.bad_places(), f / "file", f / "nothing"]:
        yield place_ == "", Call(["eval", "--model", place_, "--data", pairs], either)
        yield False, Call(["eval", "--model", model, "--data", place_], either)
        yield False, Call(["inspect", "--model", place_], either)
        yield False, Call(["report", place_, "--out", f / "none.html"], either)
        yield False, Call(["convert", "--model", place_, "--to", "open_clip", "--out", f / "x"], either)
        yield False, Call(["export", "--model", place_, "--out", f / "x"], either)
        yield False, Call(["quantize", "--model", place_, "--calibrate", pairs, "--out", f / "x"], either)
        yield False, Call([*quantize[:4], place_, "--out", f / "x"], either)
        yield False, Call([*search[:3], "--images", place_, "red"], either)
        yield False, Call([*search, "--image", place_], either)
        yield False, Call(["bench", "images", "--dir", place_], either)
        yield False, Call(["train", "--init", place_, "--data", pairs, "--out", f / "x"], either)
    for place_ in [*place.bad_places(), f / "empty", f / "nothing"]:
        yield False, Call([*zero[:5], "--classes", place_], failed)
        yield False, Call([*zero, "--templates", place_], failed)
        yield False, Call(["bench", "tokens", "--captions", place_], failed)
        yield False, Call([*step, "--batch-size", "1", "--captions", place_], failed)
    yield False, Call([*zero, "--templates", f / "file"], failed, ["{}"])
    yield False, Call([*zero[:5], "--classes", f / "file"], failed)
    for place_ in (f / "absent" / "x", f / "file" / "x", f / "loop" / "x", f / ("n" * 300)):
        yield False, Call([*embed, "--out", place_], failed)
        if "absent" not in str(place_):
            yield False, Call(["convert", "--model", model, "--to", "open_clip", "--out", place_], failed)
            yield False, Call(["export", "--model", model, "--out", place_], failed)
            yield False, Call([*quantize, "--out", place_], failed)
            yield False, Call(["interpolate", "--model", model, "--with", model, "--out", place_], failed)
            yield False, Call(["train", "--model", "tiny", "--data", pairs, "--steps", "1", "--out", place_], failed)
    yield False, Call([*embed, "--out", ""], usage)

    # Files that aren't what they should be.
    for folder in place.broken:
        yield folder.name in ("broken-text-width", "broken-cut-weights"), Call(
            ["eval", "--model", folder, "--data", pairs, "--json"], failed)
        yield False, Call(["convert", "--model", folder, "--to", "open_clip", "--out", f / f"from-{folder.name}"], failed)
    for file in place.open_pairs_that_are_none():
        yield file.name == "number.jsonl", Call(["eval", "--model", model, "--data", file, "--json"], failed)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="a part of the calls, in seconds")
    parser.add_argument("--program", default=os.path.join(os.environ.get("VLALIGN_BUILD", "build"), "bin", "vlalign"))
    parser.add_argument("--verbose", action="store_true", help="print each call")
    flags = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        place = Place(os.path.abspath(flags.program), pathlib.Path(folder))
        calls = [call for quick, call in calls_for(place) if quick or not flags.quick]
        wrong = 0
        with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
            for call, faults in zip(calls, pool.map(lambda each: each.faults(place), calls)):
                words = " ".join(os.fsencode(each).decode(errors="replace") for each in call.arguments)
                line = f"vlalign {words}".replace(folder, "DIR")[:300] + (f"  {call.streams}" if call.streams else "")
                if faults or flags.verbose:
                    print(("WRONG  " if faults else "fine   ") + line, *faults, sep="\n       ")
                wrong += bool(faults)
    print(f"{len(calls)} calls, {wrong} ended otherwise than they should")
    return 1 if wrong or not calls else 0


if __name__ == "__main__":
    sys.exit(main())
