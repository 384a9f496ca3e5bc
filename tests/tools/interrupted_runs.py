#!/usr/bin/env python3
"""Runs that are ended by SIGINT, SIGTERM or SIGKILL at random moments, in validations, checkpoints and changes of stage too, and
resumed each time: they come to an undisturbed run's weights, with every step and every validation once.

  python3 tests/tools/interrupted_runs.py --program build/bin/vlalign [--runs 30] [--seed 1]
Each run is interrupted until it comes through, a few times. Ends with 1 when something isn't as it should be.
"""
import argparse
import json
import pathlib
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).parent))
from launched_jobs import write_data  # noqa: E402

STEPS, KEPT = 40, 2
faults = []


def expect(right, what):
    if not right and what not in faults:
        faults.append(what)
        print("WRONG:", what, flush=True)


def command(program, folder, run):
    data = folder / "pairs.tsv"
    return [program, "train", "--data", data, "--val", f"all={data}", "--val", f"again={data}", "--model", folder / "model.json",
            "--out", run, "--steps", STEPS, "--batch-size", 8, "--lr", "1e-3", "--val-every", 4, "--best", "all.loss",
            "--checkpoint-every", 3, "--keep-last", KEPT, "--ema", "0.9", "--aug", "mild", "--threads", 1,
            "--stage", "0.5:image_size=16,context_length=8", "--stage", "0.3:patch_dropout=0.5", "--stage", "0.2"]


class Watch(threading.Thread):
    """What must hold at every moment."""

    def __init__(self, run):
        super().__init__(daemon=True)
        self.run_folder, self.over = run, False
        self.start()

    def run(self):
        checkpoints = self.run_folder / "checkpoints"
        while not self.over:
            names = [p.name for p in checkpoints.glob("step-*")] if checkpoints.is_dir() else []
            whole = [name for name in names if "partial" not in name]
            expect(len(whole) <= KEPT + 2, f"{len(whole)} checkpoints: {names}")
            latest = checkpoints / "latest"
            if latest.is_file():
                # Read before it is looked for: another may take its place meanwhile, and the old one go.
                named = latest.read_text().strip()
                there = (checkpoints / named / "trainer.json").is_file() and (checkpoints / named / "trainer.safetensors").is_file()
                expect(there or latest.read_text().strip() != named, f"latest names {named}, which isn't whole")
            time.sleep(0.002)

    def end(self):
        self.over = True
        self.join()


def steps_of(file, keys):
    return [tuple(json.loads(line)[key] for key in keys) for line in file.read_text().splitlines()]


def weights(run):
    return (run / "model" / "open_clip_model.safetensors").read_bytes()


def interrupt_until_done(words, run, longest, moments):
    ended, watch = [], Watch(run)
    while True:
        resume = ["--resume"] if (run / "config.json").exists() else []
        process = subprocess.Popen(words + resume, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
                                   preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL))  # a job's may be ignored
        how = moments.choice([signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
        try:
            process.communicate(timeout=moments.uniform(0.2, longest))
        except subprocess.TimeoutExpired:
            process.send_signal(how)
            _, told = process.communicate()
            # A signal that comes before the program listens, or behind its last step, ends it as any other program or not at all.
            fine = {-how, 128 + how, 0} if how != signal.SIGKILL else {-how, 0}
            expect(process.returncode in fine, f"{how.name} gave status {process.returncode}: {told[-300:]}")
            ended.append(f"{how.name}:{process.returncode}")
            if process.returncode != 0:
                continue
        expect(process.returncode == 0, f"status {process.returncode}")
        watch.end()
        return ended


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--program", default="build/bin/vlalign")
    parser.add_argument("--runs", type=int, default=30)
    parser.add_argument("--seed", type=int, default=1)
    flags = parser.parse_args()
    moments = random.Random(flags.seed)
    with tempfile.TemporaryDirectory() as temporary:
        folder = pathlib.Path(temporary)
        write_data(folder)
        words = [str(word) for word in command(flags.program, folder, folder / "whole")]
        whole, longest = folder / "whole", float("inf")
        for _ in range(2):  # the machine may be busy the first time
            shutil.rmtree(whole, ignore_errors=True)
            start = time.time()
            subprocess.run(words, check=True, capture_output=True)
            longest = min(longest, time.time() - start)
        print(f"an undisturbed run: {longest:.1f} s")
        for number in range(flags.runs):
            run = folder / f"run-{number}"
            words = [str(word) for word in command(flags.program, folder, run)]
            ended = interrupt_until_done(words, run, longest, moments)
            expect(weights(run) == weights(whole), f"run {number} has other weights")
            for file, keys in (("metrics.jsonl", ["step", "loss"]), ("validation.jsonl", ["step", "name", "loss"])):
                expect(steps_of(run / file, keys) == steps_of(whole / file, keys), f"run {number}: {file} differs")
            for file in ("latest", "best"):
                same = (run / "checkpoints" / file).read_text() == (whole / "checkpoints" / file).read_text()
                expect(same, f"run {number}: checkpoints/{file} differs")
            expect(not list(run.rglob("*partial*")), f"run {number} left something half written")
            print(f"run {number}: {' '.join(ended) or 'came through'}", flush=True)
    print(f"{len(faults)} faults" if faults else f"{flags.runs} runs, all as the undisturbed one")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
