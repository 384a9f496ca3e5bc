#!/usr/bin/env python3
"""One frame, one sentence and a batch here and in the engines people use, by turns, as a table of milliseconds (median, slowest of a hundred):

    python3 tests/peers/engines.py BUILD [--models ViT-B-32 RN50 ...] [--threads 2] [--batch 32] [--rounds 3] [--torch PYTHON]

MODEL: presets, model folders, policies' folders. The graphs are this library's own exports; presets have random weights. vlalign's figures are those of `bench latency`: from raw RGB
of 640x480 to the embedding, and from the words; the engines' begin at normalised pixels and token ids, as batches do here too. int8: OpenVINO's is
NNCF's, where Python has nncf, ONNX Runtime's our graph with QuantizeLinear, both calibrated with noise, as ours is. --torch: a Python with
open_clip_torch, whose eager and compiled models are timed too, from normalised pixels. Nothing else should run meanwhile. Needs onnxruntime, openvino
and numpy, here or in a virtual environment BUILD/onnx (see onnx_agreement.py)."""

import argparse
import collections
import importlib.util
import json
import logging
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time

from onnx_agreement import read_safetensors

TORCH = """
import json, sys, time, torch, open_clip
name, threads, compiled, batch = sys.argv[1], int(sys.argv[2]), sys.argv[3] == "compiled", int(sys.argv[4])
torch.set_num_threads(threads)
model = open_clip.create_model(name).eval()
side = model.visual.image_size
side = side[0] if isinstance(side, (tuple, list)) else side
pixels, many, words = torch.rand(1, 3, side, side), torch.rand(batch, 3, side, side), open_clip.get_tokenizer(name)(["pick up the red cup on the table"])
image, text = (torch.compile(f) if compiled else f for f in (model.encode_image, model.encode_text))
out = {}
for precision in ("fp32", "bf16"):
    with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16, enabled=precision == "bf16"):
        for what, run in (("frame", lambda: image(pixels, normalize=True)), ("sentence", lambda: text(words, normalize=True)),
                          (f"batch of {batch}", lambda: image(many, normalize=True))):
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


def first(given, rows): return {name: tensor[:rows] for name, tensor in given.items()}


def quantized(model, given):
    """By NNCF after training, as OpenVINO's documentation has it for Transformers."""
    import nncf
    logging.getLogger("nncf").setLevel(logging.ERROR)
    rows = [{name: tensor[i:i + 1] for name, tensor in given.items()} for i in range(len(next(iter(given.values()))))]
    return nncf.quantize(model, nncf.Dataset(rows), model_type=nncf.ModelType.TRANSFORMER, preset=nncf.QuantizationPreset.MIXED)


class Engines:
    """An exported model in ONNX Runtime and OpenVINO, by "engine precision" and "frame", "sentence" or "batch"."""

    def __init__(self, folder, threads, batch):
        ours = read_safetensors(folder / "fp32/ours.safetensors")
        self.threads, self.runs = threads, {}
        graphs = {precision: folder / precision / "onnx" for precision in ("fp32", "int8")}
        files = lambda graph: {precision: place / f"{graph}.onnx" for precision, place in graphs.items()}
        if files("policy")["fp32"].exists():
            given = {name: ours[f"policy.{name}"] for name in ("pixels", "tokens", "state") if f"policy.{name}" in ours}
            return self.add(files("policy"), "frame", first(given, 1), first(given, 64))
        pixels, tokens = ({name: ours[f"{graph}.{name}"]} for graph, name in (("image", "pixels"), ("short", "tokens")))
        self.add(files("image"), "frame", first(pixels, 1), first(pixels, 64))
        self.add(files("image"), f"batch of {batch}", first(pixels, batch), first(pixels, 64))
        self.add(files("text"), "sentence", first(tokens, 1), first(tokens, 64))

    def add(self, files, work, given, calibration):
        import onnxruntime
        import openvino
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads, options.log_severity_level = self.threads, 3
        for precision, path in files.items():
            if not path.exists(): continue
            session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
            self.runs[f"ONNX Runtime {precision}", work] = lambda s=session: s.run(None, given)
        core = openvino.Core()
        for precision, hint in (("fp32", "f32"), ("bf16", "bf16"), ("int8", "bf16")):
            hints = {"PERFORMANCE_HINT": "LATENCY", "INFERENCE_NUM_THREADS": self.threads, "INFERENCE_PRECISION_HINT": hint}
            model = core.read_model(str(files["fp32"]))
            if precision == "int8":
                if importlib.util.find_spec("nncf") is None: continue
                model = quantized(model, calibration)
            request = core.compile_model(model, "CPU", hints).create_infer_request()
            self.runs[f"OpenVINO {precision}", work] = lambda r=request: r.infer(given)


def round_of(args, model, engines, results):
    for precision in ("fp32", "bf16", "int8"):
        command = [args.build / "bin/vlalign", "bench", "latency", "--model", model, "--precision", precision, "--threads", args.threads, "--json"]
        if not pathlib.Path(model, "policy.json").exists(): command += ["--batch-size", args.batch]
        done = subprocess.run([str(word) for word in command], capture_output=True, text=True)
        if done.returncode != 0: continue  # a model without products that fit bytes
        ours = json.loads(done.stdout)
        for work, key in (("frame", "image"), ("sentence", "text"), (f"batch of {args.batch}", "batch")):
            if f"{key}_ms_p50" in ours: results[f"vlalign {precision}", work].append((ours[f"{key}_ms_p50"], ours[f"{key}_ms_p99"]))
    for key, run in engines.runs.items():
        times = timed(run)
        results[key].append((statistics.median(times), times[-1]))
    known = not pathlib.Path(model).exists() and model != "tiny"
    for kind in ("eager", "compiled") if args.torch and known else ():
        done = subprocess.run([args.torch, "-c", TORCH, model, str(args.threads), kind, str(args.batch)], check=True, capture_output=True, text=True).stdout
        for key, times in json.loads(done.splitlines()[-1]).items():
            precision, what = key.split(maxsplit=1)
            results[f"open_clip {kind} {precision}", what].append((statistics.median(times), times[-1]))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("build", type=pathlib.Path)
    parser.add_argument("--models", nargs="+", default=["ViT-B-32", "ViT-B-16", "ViT-B-16-SigLIP", "RN50", "tiny"])
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--torch")
    args = parser.parse_args()
    print("| model | work | with | median ms | slowest ms |\n| --- | --- | --- | --- | --- |")
    for model in args.models:
        with tempfile.TemporaryDirectory() as place:
            for precision, words in (("fp32", []), ("int8", ["int8"])):
                folder = pathlib.Path(place, precision)
                folder.mkdir()
                subprocess.run([args.build / "bin/vlalign_export_model", model, folder, str(max(64, args.batch)), *words], check=not words,
                               stdout=subprocess.DEVNULL, stderr=None if not words else subprocess.DEVNULL)
            engines, results = Engines(pathlib.Path(place), args.threads, args.batch), collections.defaultdict(list)
            for _ in range(args.rounds):
                round_of(args, model, engines, results)
        for (name, what), times in sorted(results.items(), key=lambda entry: (entry[0][1], entry[0][0].split()[-1], entry[1][0])):
            median, slowest = (statistics.median(column) for column in zip(*times))
            print(f"| {model} | {what} | {name} | {median:.1f} | {'' if slowest != slowest else f'{slowest:.1f}'} |", flush=True)


if __name__ == "__main__":
    sys.exit(main())
