#!/usr/bin/env python3
"""The memory of each rank with --shard-optimizer beside the formula of docs/scale.md: 8 P (R - 1) / R bytes less than without.

  python3 tests/tools/sharded_memory.py --program build/bin/vlalign [--ranks 2] [--model ViT-B-32] [--batch-size 8]

Trains a few steps on made pictures, with the option and without, and reads the most memory that each process has had.
Ends with 1 when that is more than 5% away from the formula, or the weights differ.
"""
import argparse
import json
import pathlib
import statistics
import tempfile

import launched_jobs

STEPS = 5


def most_resident_bytes(process):
    for line in pathlib.Path(f"/proc/{process}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    raise RuntimeError(f"no memory of process {process}")


def memory_of_ranks(jobs, options, out, *more):
    words = ["train", "--data", str(jobs.folder / "pairs.tsv"), "--model", options.model, "--out", str(jobs.folder / out),
             "--steps", str(STEPS), "--batch-size", str(options.batch_size), "--loader-threads", "1", *more]
    job = jobs.start(jobs.launch(options.ranks, words))
    if not launched_jobs.wait_for(lambda: launched_jobs.lines_in(jobs.folder / out / "metrics.jsonl") >= STEPS - 1, 1200):
        raise SystemExit(f"no step {STEPS - 1}: {job.stdout.read()}")
    memory = [most_resident_bytes(process) for process in launched_jobs.children_of(job.pid)]
    job.communicate()
    return memory


def trained_parameters(model_folder):
    """Of the file's header: all that it holds but integers is trained."""
    with open(model_folder / "open_clip_model.safetensors", "rb") as file:
        header = json.loads(file.read(int.from_bytes(file.read(8), "little")))
    total = 0
    for name, entry in header.items():
        if name == "__metadata__" or not entry["dtype"].startswith(("F", "BF")):
            continue
        count = 1
        for size in entry["shape"]:
            count *= size
        total += count
    return total


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--program", required=True)
    parser.add_argument("--ranks", type=int, default=2)
    parser.add_argument("--model", default="ViT-B-32")
    parser.add_argument("--batch-size", type=int, default=8)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        launched_jobs.write_data(folder)
        jobs = launched_jobs.Jobs(str(pathlib.Path(options.program).resolve()), folder)
        whole = memory_of_ranks(jobs, options, "whole")
        sharded = memory_of_ranks(jobs, options, "sharded", "--shard-optimizer")
        count = trained_parameters(folder / "whole" / "model")
        same = jobs.weights("whole") == jobs.weights("sharded")
    formula = statistics.mean(whole) - 8 * count * (options.ranks - 1) / options.ranks
    ratio = statistics.mean(sharded) / formula
    print(json.dumps({"ranks": options.ranks, "parameters": count, "whole_mb": [round(m / 1e6, 1) for m in whole],
                      "sharded_mb": [round(m / 1e6, 1) for m in sharded], "formula_mb": round(formula / 1e6, 1),
                      "ratio": round(ratio, 3), "same_weights": same}))
    return 0 if same and abs(ratio - 1) <= 0.05 else 1


if __name__ == "__main__":
    raise SystemExit(main())
