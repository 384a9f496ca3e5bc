#!/usr/bin/env python3
"""Trains the quick start's model with every loss of docs/losses.md's table and writes the figures into it.

    python3 tests/tools/loss_table.py                      all rows, three seeds: half an hour on two cores
    python3 tests/tools/loss_table.py --only siglip        rows whose flags hold this word, the other rows stay
    python3 tests/tools/loss_table.py --steps 20 --seeds 1 --print    a trial, printed instead of written

Each row names its flags, such as `--loss siglip`; a teacher is the model of the whole quick start, trained first if
runs/quickstart isn't there. Runs that are already in runs/losses are not repeated.
"""
import argparse
import json
import pathlib
import re
import statistics
import subprocess

ROOT = pathlib.Path(__file__).resolve().parents[2]
TABLE = ROOT / "docs" / "losses.md"


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", type=pathlib.Path, default=ROOT / "build")
    parser.add_argument("--runs", type=pathlib.Path, default=ROOT / "runs" / "losses")
    parser.add_argument("--teacher", type=pathlib.Path, default=ROOT / "runs" / "quickstart" / "model")
    parser.add_argument("--steps", type=int, default=150)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--only", default="", help="part of a row's flags")
    parser.add_argument("--print", action="store_true", help="print the rows, leave the page alone")
    return parser.parse_args()


def train(args, out, *flags):
    """A run of the quick start's model and augmentation."""
    data = args.build / "data" / "emoji-en"
    command = [args.build / "bin" / "vlalign", "train", "--model", "tiny", "--data", data / "train.jsonl",
               "--val", f"combinations={data / 'combinations.jsonl'}", "--val", f"concepts={data / 'concepts.jsonl'}",
               "--out", out, "--grad-clip", 1, "--precision", "bf16", "--aug", "mild", *flags]
    subprocess.run([str(word) for word in command], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def scores(args, flags):
    """Means over the two directions, in percent, of each seed: recall@1 on combinations, recall@10 on concepts."""
    both = lambda test, key: 50 * (test["image_to_text"][key] + test["text_to_image"][key])
    results = []
    for seed in range(1, args.seeds + 1):
        name = re.sub(r"[^\w.*+-]+", "_", " ".join(flags)).strip("_-")
        out = args.runs / f"{name}-{args.steps}-steps-seed-{seed}"
        if not (out / "eval.json").exists():
            real = [str(args.teacher) if word == "TEACHER" else word for word in flags]
            train(args, out, "--seed", seed, "--steps", args.steps, "--warmup", args.steps // 8, "--batch-size", 128,
                  "--lr", 1e-3, *real)
        found = json.loads((out / "eval.json").read_text())
        results.append((both(found, "recall@1"), both(found["concepts"], "recall@10")))
        print(f"{' '.join(flags)}, seed {seed}: {results[-1][0]:.1f} {results[-1][1]:.1f}", flush=True)
    return results


def cell(values):
    return f"{statistics.mean(values):.1f} ({min(values):.1f} to {max(values):.1f})"


def filled(args, line):
    """A row of the table with its last two cells measured; any other line as it is."""
    cells = [text.strip() for text in line.strip().strip("|").split("|")]
    flags = next((text for text in cells if re.fullmatch(r"`--loss .*`", text)), None)
    if flags is None or args.only not in flags:
        return line
    results = scores(args, flags.strip("`").split())
    cells[-2:] = [cell([first for first, _ in results]), cell([second for _, second in results])]
    return "| " + " | ".join(cells) + " |"


def main():
    args = arguments()
    lines = TABLE.read_text().splitlines()
    if any("TEACHER" in line for line in lines) and not args.teacher.exists():
        train(args, args.teacher.parent, "--seed", 1, "--steps", 480, "--warmup", 40, "--batch-size", 256, "--lr", 2e-3)
    if args.print:
        print("\n".join(row for line in lines if (row := filled(args, line)) != line))
    else:
        TABLE.write_text("\n".join(filled(args, line) for line in lines) + "\n")


if __name__ == "__main__":
    main()
