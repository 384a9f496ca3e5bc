#!/usr/bin/env python3
"""One frame and one sentence here and in the engines people use, by turns, as a table of milliseconds (median, slowest of a hundred):

    python3 tests/peers/engines.py BUILD [--models ViT-B-32 RN50 ...] [--threads 2] [--rounds 3] [--torch PYTHON]

The graphs are this library's own exports of presets with random weights. vlalign's figures are those of `bench latency`: from raw RGB
of 640x480 to the embedding, and from the words; the engines' begin at normalised pixels and token ids. --torch: a Python with
open_clip_torch, whose eager and compiled models are timed too, from normalised pixels. Nothing else should run meanwhile. Needs onnxruntime, openvino
and numpy, here or in a virtual environment BUILD/onnx (see onnx_agreement.py)."""

import argparse
import collections
import json
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time

from onnx_agreement import read_safetensors

TORCH = """
import json, sys, time, torch, open_clip
name, threads, compiled = sys.argv[1], int(sys.argv[2]), sys.argv[3] == "compiled"
torch.set_num_threads(threads)
model = open_clip.create_model(name).eval()
side = model.visual.image_size
side = side[0] if isinstance(side, (tuple, list)) else side
pixels, words = torch.rand(1, 3, side, side), open_clip.get_tokenizer(name)(["pick up the red cup on the table"])
image, text = (torch.compile(f) if compiled else f for f in (model.encode_image, model.encode_text))
out = {}
for precision in ("fp32", "bf16"):
    with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16, enabled=precision == "bf16"):
        for what, run in (("frame", lambda: image(pixels, normalize=True)), ("sentence", lambda: text(words, normalize=True))):
            times = []
            for _ in range(35):
                start = time.perf_counter(); run(); times.append(1000 * (time.perf_counter() - start))
            out[precision + " " + what] = sorted(times[5:])
print(json.dumps(out))
"""


def timed(run, runs=50):
    times = []
    for i in range(runs + 8):
        start = time.perf_counter()
        run()
        times.append(1000 * (time.perf_counter() - start))
    return sorted(times[8:])


class Engines:
    """An exported model in ONNX Runtime and OpenVINO, by "engine precision" and "frame" or "sentence"."""

    def __init__(self, folder, threads):
        import onnxruntime
        import openvino
        ours = read_safetensors(folder / "ours.safetensors")
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads, options.log_severity_level = threads, 3
        self.runs = {}
        for what, graph, name in (("frame", "image", "pixels"), ("sentence", "text", "tokens")):
            path = str(folder / "onnx" / f"{graph}.onnx")
            given = {name: ours[f"{graph if graph == 'image' else 'short'}.{name}"][:1]}
            session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
            self.runs["ONNX Runtime fp32", what] = lambda s=session, g=given: s.run(None, g)
            for precision in ("fp32", "bf16"):
                hints = {"PERFORMANCE_HINT": "LATENCY", "INFERENCE_NUM_THREADS": threads,
                         "INFERENCE_PRECISION_HINT": {"fp32": "f32", "bf16": "bf16"}[precision]}
                request = openvino.Core().compile_model(path, "CPU", hints).create_infer_request()
                self.runs[f"OpenVINO {precision}", what] = lambda r=request, g=given: r.infer(g)


def round_of(args, model, engines, results):
    for precision in ("fp32", "bf16"):
        command = [args.build / "bin/vlalign", "bench", "latency", "--model", model, "--precision", precision, "--threads", args.threads, "--json"]
        ours = json.loads(subprocess.run([str(word) for word in command], check=True, capture_output=True, text=True).stdout)
        results[f"vlalign {precision}", "frame"].append((ours["image_ms_p50"], ours["image_ms_p99"]))
        results[f"vlalign {precision}", "sentence"].append((ours["text_ms_p50"], float("nan")))
    for key, run in engines.runs.items():
        times = timed(run)
        results[key].append((statistics.median(times), times[-1]))
    for kind in ("eager", "compiled") if args.torch else ():
        done = subprocess.run([args.torch, "-c", TORCH, model, str(args.threads), kind], check=True, capture_output=True, text=True).stdout
        for key, times in json.loads(done.splitlines()[-1]).items():
            precision, what = key.split()
            results[f"open_clip {kind} {precision}", what].append((statistics.median(times), times[-1]))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("build", type=pathlib.Path)
    parser.add_argument("--models", nargs="+", default=["ViT-B-32", "ViT-B-16", "RN50"])
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--torch")
    args = parser.parse_args()
    print("| model | work | with | median ms | slowest ms |\n| --- | --- | --- | --- | --- |")
    for model in args.models:
        with tempfile.TemporaryDirectory() as place:
            subprocess.run([args.build / "bin/vlalign_export_model", model, place, "1"], check=True, stdout=subprocess.DEVNULL)
            engines, results = Engines(pathlib.Path(place), args.threads), collections.defaultdict(list)
            for _ in range(args.rounds):
                round_of(args, model, engines, results)
        for (name, what), times in sorted(results.items(), key=lambda entry: (entry[0][1], entry[0][0].split()[-1], entry[1][0])):
            median, slowest = (statistics.median(column) for column in zip(*times))
            print(f"| {model} | {what} | {name} | {median:.1f} | {'' if slowest != slowest else f'{slowest:.1f}'} |", flush=True)


if __name__ == "__main__":
    sys.exit(main())
