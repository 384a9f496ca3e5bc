#!/usr/bin/env python3
"""Times vlalign beside open_clip on the same work, alternately, and prints the ratios of the medians as a table.

    python3 tests/peers/peer_speed.py --peer DIR --python PYTHON [--build build] [--rounds 3] [--only WORD]

DIR holds programs that measure the peer, each printing one JSON line: step.py, loss.py, images.py, tokens.py, and gemm.py
for the machine's own limit. PYTHON has torch, open_clip_torch, transformers, pillow and scikit-learn, parts of whose two
photographs are the JPEG frames. The emoji pairs of the quick start must be there (build/data/emoji-en). Nothing else
should run meanwhile.
"""
import argparse
import json
import pathlib
import statistics
import subprocess
import tempfile

FRAMES = """
import pathlib, random, sys
import sklearn.datasets
from PIL import Image
out, chance = pathlib.Path(sys.argv[1]), random.Random(1)
photographs = [Image.fromarray(photograph) for photograph in sklearn.datasets.load_sample_images().images]
for number in range(40):
    photograph, part = chance.choice(photographs), chance.uniform(0.7, 1)
    width, height = part * photograph.width, part * photograph.height
    left, top = chance.uniform(0, photograph.width - width), chance.uniform(0, photograph.height - height)
    frame = photograph.resize((640, 480), Image.BICUBIC, (left, top, left + width, top + height))
    frame.save(out / f"{number:02}.jpg", quality=90)
"""

LATENCY = """
import json, statistics, sys, time, numpy, torch, open_clip
from PIL import Image
torch.set_num_threads(2)
name, precision, runs = *sys.argv[1:3], 30
model, _, transform = open_clip.create_model_and_transforms(name)
model.eval()
tokenizer = open_clip.get_tokenizer(name)
frame = numpy.random.default_rng(0).integers(0, 256, (480, 640, 3), dtype=numpy.uint8)
def image(): return model.encode_image(transform(Image.fromarray(frame)).unsqueeze(0), normalize=True)
def text(): return model.encode_text(tokenizer(["pick up the red cup on the table"]), normalize=True)
def median(work):
    times = []
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16, enabled=precision == "bf16"):
        for i in range(runs + 3):
            start = time.perf_counter(); work(); times.append(1000 * (time.perf_counter() - start))
    return statistics.median(times[3:])
print(json.dumps({"image_ms_p50": median(image), "text_ms_p50": median(text)}))
"""

LENGTHS = """
import sys, json, open_clip
captions = open(sys.argv[1]).read().splitlines()[:int(sys.argv[2])]
print(json.dumps([int(row.argmax()) + 1 for row in open_clip.get_tokenizer("ViT-B-32")(captions)]))
"""


def needed_gflop(lengths):
    """A training step of ViT-B-32 without padding, and with the last blocks' one token that is pooled: forward once, and
    twice that backward, but for the pixels' gradient."""

    def tower(lengths, width, layers, keys):
        linear = sum((layers - 1) * 24 * width**2 * n + 4 * width**2 * n + 20 * width**2 for n in lengths)
        return linear + sum((layers - 1) * 4 * keys * n * n * width + 4 * n * width for n in lengths)

    batch = len(lengths)
    patches = batch * 49 * 3072 * 768 * 2
    image, text = tower([50] * batch, 768, 12, keys=1), tower(lengths, 512, 12, keys=0.5)  # causal: half the keys
    return (3 * (image + text + batch * (768 + 512) * 512 * 2) + 2 * patches) / 1e9


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peer", type=pathlib.Path, required=True)
    parser.add_argument("--python", required=True)
    parser.add_argument("--build", type=pathlib.Path, default=pathlib.Path("build"))
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", default="", help="part of a row's name")
    return parser.parse_args()


def last_json(command):
    done = subprocess.run([str(word) for word in command], check=True, capture_output=True, text=True)
    return json.loads(done.stdout.strip().splitlines()[-1])


class Bench:
    def __init__(self, args, work):
        self.args, self.work = args, pathlib.Path(work)
        self.data = args.build / "data" / "emoji-en"
        self.captions = self.work / "captions.txt"
        lines = (self.data / "train.jsonl").read_text().splitlines()
        texts = [json.loads(line)["text"] for line in lines]
        self.captions.write_text("\n".join(t if isinstance(t, str) else t[0] for t in texts) + "\n")
        self.frames = self.work / "frames"
        self.frames.mkdir()
        subprocess.run([args.python, "-c", FRAMES, self.frames], check=True)

    def ours(self, *words):
        return lambda: last_json([self.args.build / "bin" / "vlalign", "bench", *words, "--json"])

    def peer(self, program, *words):
        return lambda: last_json([self.args.python, self.args.peer / program, *words])

    def latency(self, model, precision):
        return lambda: last_json([self.args.python, "-c", LATENCY, model, precision])

    def rate(self):
        """The arithmetic that a step of ViT-B-32 needs, a second."""
        command = [self.args.python, "-c", LENGTHS, str(self.captions), "32"]
        needed = needed_gflop(json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout))
        step = self.ours("step", "--precision", "bf16", "--steps", 8, "--captions", self.captions)
        return lambda: {"gflops": needed / step()["step_s"]}

    def pairs(self):
        """(ours, peer, [(name, key of ours, key of the peer, whether more is better)])"""
        captions = ["--captions", self.captions]
        for model, batch, precision in (("ViT-B-32", 32, "bf16"), ("ViT-B-32", 32, "fp32"), ("RN50", 16, "bf16"),
                                        ("ViT-B-16", 16, "bf16")):
            its = "amp_bf16" if precision == "bf16" else precision
            yield (self.ours("step", "--model", model, "--batch-size", batch, "--precision", precision, *captions),
                   self.peer("step.py", "--model", model, "--batch", batch, "--precision", its, *captions),
                   [(f"step {model}, batch {batch}, {precision}, pairs/s", "pairs_per_s", "pairs_per_s", True)])
        yield (self.rate(), self.peer("gemm.py"),
               [("step ViT-B-32, bf16: needed arithmetic beside the machine's matrix products, GFLOP/s", "gflops",
                 "bf16_gflops", True)])
        step = ["step", "--precision", "bf16", *captions]
        yield (self.ours(*step, "--batch-size", 256, "--micro-batch", 32, "--steps", 1), self.ours(*step, "--steps", 6),
               [("gradient cache, 256 pairs in pieces of 32, beside plain steps of 32, pairs/s", "pairs_per_s",
                 "pairs_per_s", True),
                ("gradient cache, the same, peak MB", "peak_mb", "peak_mb", False)])
        yield (self.ours("loss"), self.peer("loss.py"),
               [("loss 16384 x 512, s", "seconds", "seconds", False), ("loss, the same, MB", "extra_mb", "extra_mb", False)])
        for name, folder, size in (("640x480 JPEG to 224", self.frames, 224), ("emoji PNG to 64", self.data / "images", 64),
                                   ("emoji PNG to 224", self.data / "images", 224)):
            where = ["--dir", folder, "--size", size]
            yield (self.ours("images", *where), self.peer("images.py", *where),
                   [(f"pictures: {name}, training, a second", "train", "train", True)])
        yield (self.ours("tokens", *captions), self.peer("tokens.py", *captions),
               [(f"tokenizer beside {of}, captions/s", "captions_per_s", key, True)
                for key, of in (("open_clip", "open_clip's"), ("rust_one_by_one", "the Rust tokenizer's"))])
        for model in ("ViT-B-32", "MobileCLIP2-S0", "PE-Core-T-16-384"):
            for precision in ("fp32", "bf16"):
                yield (self.ours("latency", "--model", model, "--precision", precision), self.latency(model, precision),
                       [(f"latency {model} {precision}, a frame, ms", "image_ms_p50", "image_ms_p50", False),
                        (f"latency {model} {precision}, a sentence, ms", "text_ms_p50", "text_ms_p50", False)])


def main():
    args = arguments()
    print("| work | vlalign | peer | times better |\n| --- | --- | --- | --- |")
    with tempfile.TemporaryDirectory() as work:
        for ours, peer, rows in Bench(args, work).pairs():
            rows = [row for row in rows if args.only in row[0]]
            if not rows:
                continue
            rounds = [(ours(), peer()) for _ in range(args.rounds)]
            for name, our_key, its_key, more_is_better in rows:
                mine = statistics.median(result[our_key] for result, _ in rounds)
                its = statistics.median(result[its_key] for _, result in rounds)
                better = mine / its if more_is_better else its / mine
                print(f"| {name} | {mine:.4g} | {its:.4g} | {better:.2f} |", flush=True)


if __name__ == "__main__":
    main()
