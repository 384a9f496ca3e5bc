#!/usr/bin/env python3
"""Exported graphs in ONNX Runtime and OpenVINO against what is computed here:

    python3 tests/peers/onnx_agreement.py BUILD MODEL... [--with normalize,raw,tokens,layers,preprocess,external,lora,int8,episodes=D]
                                          [--engines onnxruntime,openvino] [--rows 64] [--limit 2e-5]

MODEL: as tests/support/export_model.cpp takes it: presets (random weights), configs, model folders, random:SEED,
policy:FUSION:HEAD, policies' folders. Each graph goes through onnx.checker with full_check, then runs at batches of 1, 3
and --rows. Prints a line a model with the largest differences; ends with 1 where one is above --limit (1e-4 for a
policy's actions, relative to the largest number for outputs that aren't of unit length; with int8 a mean cosine of 0.995; one step of 8 bits for
preprocess.onnx), or where a model isn't exported. Needs onnx, onnxruntime, openvino and numpy, here or in a virtual
environment BUILD/onnx; ends with 77 where they are missing:

    python3 -m venv build/onnx && build/onnx/bin/pip install onnx onnxruntime openvino numpy"""

import argparse
import importlib.util
import json
import os
import pathlib
import struct
import subprocess
import sys
import tempfile

if not all(importlib.util.find_spec(name) for name in ("numpy", "onnx", "onnxruntime", "openvino")):
    own = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else "build") / "onnx/bin/python3"
    if own.exists() and pathlib.Path(sys.executable) != own.absolute(): os.execv(own.absolute(), [str(own.absolute()), *sys.argv])
    print(__doc__[__doc__.index("Needs"):] if __doc__ else "", file=sys.stderr)
    sys.exit(77)
import numpy as np
import onnx

DTYPES = {"F32": np.float32, "I64": np.int64, "U8": np.uint8, "BOOL": np.bool_}


def read_safetensors(path):
    data = path.read_bytes()
    length, = struct.unpack("<Q", data[:8])
    header = json.loads(data[8:8 + length])
    header.pop("__metadata__", None)
    def tensor(entry):
        begin, end = (8 + length + offset for offset in entry["data_offsets"])
        return np.frombuffer(data[begin:end], DTYPES[entry["dtype"]]).reshape(entry["shape"])
    return {name: tensor(entry) for name, entry in header.items()}


class OnnxRuntime:
    def __init__(self, path):
        import onnxruntime
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3
        options.add_session_config_entry("session.x64quantprecision", "1")  # sums of bytes that don't saturate
        self.session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        self.inputs = [each.name for each in self.session.get_inputs()]
        self.outputs = [each.name for each in self.session.get_outputs()]

    def __call__(self, given):
        return dict(zip(self.outputs, self.session.run(self.outputs, given)))


class OpenVino:
    def __init__(self, path):
        import openvino
        core = openvino.Core()
        self.model = core.compile_model(core.read_model(str(path)), "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
        self.inputs = [each.get_any_name() for each in self.model.inputs]
        self.outputs = [each.name for each in onnx.load(str(path), load_external_data=False).graph.output]

    def __call__(self, given):
        results = self.model(given)
        return {name: results[port] for name, port in zip(self.outputs, self.model.outputs)}


ENGINES = {"onnxruntime": OnnxRuntime, "openvino": OpenVino}


def difference(a, b, int8=False):
    """Largest, relative to the largest number where that is above 1; -inf (masks) must be equal. int8: of the mean
    cosine to 1, since a code that is rounded the other way changes those behind it."""
    a, b = np.asarray(a, np.float64), np.asarray(b, np.float64)
    if int8 and a.shape == b.shape and np.isfinite(a).all():
        a, b = a.reshape(len(a), -1), b.reshape(len(b), -1)
        return float(1 - np.mean((a * b).sum(1) / np.linalg.norm(a, axis=1) / np.linalg.norm(b, axis=1)))
    if a.shape != b.shape or (np.isfinite(a) != np.isfinite(b)).any(): return float("inf")
    if not a.size: return 0.0
    return float(np.abs(a - b).max() / max(1.0, np.abs(b).max()))


def batches(ours, rows):
    if "first_action" in ours: rows = len(ours["first_action"])
    return [{name: tensor[:n] for name, tensor in ours.items()} for n in sorted({1, min(3, rows), rows})]


def compare(engine, ours, rows, int8=False):
    """Of the tensors of one graph, named without it."""
    worst = {}
    for batch in batches(ours, rows):
        results = engine({name: batch[name] for name in engine.inputs})
        if "first_action" in batch: results = {"first_action": results["actions"][:, 0]}
        for name, result in results.items(): worst[name] = max(worst.get(name, 0.0), difference(result, batch[name], int8))
    return worst


def flow(features, step, ours, rows, steps):
    worst = 0.0
    for batch in batches(ours, rows):
        seen = features({name: batch[name] for name in features.inputs})["features"]
        x = batch["noise"]
        for i in range(steps):
            time = np.full(len(x), 1 - i / steps, np.float32)
            results = step({"features": seen, "x": x, "time": time})
            x = results["next"]
        worst = max(worst, difference(results["actions"], batch["actions"]))
    return {"actions": worst}


def preprocessing(engine, ours, std):
    """The largest difference and the mean one, in steps of 8 bits."""
    largest, total, count = 0.0, 0.0, 0
    for picture in (name[:-len("picture")] for name in ours if name.endswith("picture")):
        pixels = engine({"picture": ours[picture + "picture"]})["pixels"]
        steps = np.abs(pixels - ours[picture + "pixels"]) * np.reshape(std, (1, 3, 1, 1)) * 255
        largest, total, count = max(largest, steps.max()), total + steps.sum(), count + steps.size
    return {"largest step": largest, "mean step": total / count}


def of_graph(ours, graph): return {name[len(graph) + 1:]: tensor for name, tensor in ours.items() if name.startswith(graph + ".")}


def agreement(build, name, options, engines, rows):
    with tempfile.TemporaryDirectory() as place:
        place = pathlib.Path(place)
        program = next(pathlib.Path(build).rglob("vlalign_export_model"))
        subprocess.run([str(program), name, str(place), str(rows), *options], check=True, stderr=subprocess.PIPE, text=True)
        folder = place / "onnx"
        ours = read_safetensors(place / "ours.safetensors")
        facts = json.loads((folder / "export.json").read_text())
        for file in folder.glob("*.onnx"): onnx.checker.check_model(str(file), full_check=True)
        worst, int8 = {}, "int8" in options
        def note(engine, graph, found):
            for output, value in found.items(): worst[f"{engine} {graph}.{output}"] = value
        for engine in engines:
            load = lambda graph: ENGINES[engine](folder / f"{graph}.onnx")
            if "policy_step.onnx" in facts["graphs"]:
                note(engine, "policy", flow(load("policy_features"), load("policy_step"), of_graph(ours, "policy"), rows, facts["steps"]))
            elif "policy.onnx" in facts["graphs"]:
                note(engine, "policy", compare(load("policy"), of_graph(ours, "policy"), rows, int8))
            else:
                note(engine, "image", compare(load("image"), of_graph(ours, "image"), rows, int8))
                text = load("text")
                note(engine, "text", compare(text, of_graph(ours, "text"), rows, int8))
                note(engine, "short", compare(text, of_graph(ours, "short"), rows, int8))
            if "preprocess.onnx" in facts["graphs"] and engine == "onnxruntime":  # OpenVINO reads over `antialias`
                note(engine, "preprocess", preprocessing(load("preprocess"), of_graph(ours, "preprocess"), facts["std"]))
        return worst


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("build")
    parser.add_argument("models", nargs="+")
    parser.add_argument("--with", dest="options", default="")
    parser.add_argument("--engines", default="onnxruntime,openvino")
    parser.add_argument("--rows", type=int, default=64)
    parser.add_argument("--limit", type=float, default=2e-5)
    flags = parser.parse_args()
    failed = False
    for name in flags.models:
        try:
            worst = agreement(flags.build, name, [word for word in flags.options.split(",") if word], flags.engines.split(","), flags.rows)
        except subprocess.CalledProcessError as error:
            failed = True
            print(f"{name}: {error.stderr.strip().splitlines()[-1]}", flush=True)
            continue
        except Exception as error:
            failed = True
            print(f"{name}: {type(error).__name__}: {str(error)[:400]}", flush=True)
            continue
        limit = lambda key: 5e-3 if "int8" in flags.options else 1.01 if "step" in key else 1e-4 if "action" in key else flags.limit
        bad = {key: value for key, value in worst.items() if value > limit(key)}
        failed = failed or bool(bad)
        print(f"{name}: {max(value for key, value in worst.items() if 'step' not in key):.1e}" + "".join(f"; {key} {value:.1e}" for key, value in (bad or worst).items())
              + ("   ABOVE THE LIMIT" if bad else ""), flush=True)
    return failed


if __name__ == "__main__":
    sys.exit(main())
