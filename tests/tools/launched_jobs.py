#!/usr/bin/env python3
"""Jobs of several processes as `vlalign launch` starts them: they train as one process does, and outlive what happens to one of them.

  python3 tests/tools/launched_jobs.py --program build/bin/vlalign                  what ctest asks, in under a minute
  python3 tests/tools/launched_jobs.py --program ... --disturb 20 [--ranks 3]       SIGKILL and SIGSTOP of a random rank at
                                                                                    random moments: all end, start again, and
                                                                                    have an undisturbed run's weights
  --seed N    of the moments
Ends with 1 when something isn't as it should be.
"""
import argparse
import json
import os
import pathlib
import random
import signal
import struct
import subprocess
import sys
import tempfile
import time
import zlib

MODEL = {
    "embed_dim": 16,
    "vision_cfg": {"image_size": 32, "layers": 1, "width": 32, "head_width": 16, "patch_size": 16},
    "text_cfg": {"context_length": 16, "vocab_size": 49408, "width": 32, "heads": 2, "layers": 1},
}
faults = []


def expect(right, what):
    if not right:
        faults.append(what)
        print("WRONG:", what, flush=True)


def png(rgb, size=32):
    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    rows = (b"\0" + bytes(rgb) * size) * size
    header = struct.pack(">IIBBBBB", size, size, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def write_data(folder):
    lines = ["filepath\ttitle"]
    for i in range(48):
        rgb = (i * 5, 255 - i * 5, (i * 37) % 256)
        (folder / f"{i}.png").write_bytes(png(rgb))
        lines.append(f"{i}.png\ta square of colour {i}")
    (folder / "pairs.tsv").write_text("\n".join(lines) + "\n")
    (folder / "model.json").write_text(json.dumps(MODEL))


class Jobs:
    def __init__(self, program, folder):
        self.program, self.folder = program, folder
        self.environment = {**os.environ, "OMP_NUM_THREADS": "1"}

    def train(self, out, steps, *more, data="pairs.tsv"):
        return ["train", "--data", str(self.folder / data), "--model", str(self.folder / "model.json"), "--out",
                str(self.folder / out), "--steps", str(steps), "--batch-size", "6", "--loader-threads", "1", "--aug", "mild",
                *more]

    def launch(self, ranks, words, *flags):
        return [self.program, "launch", "-n", str(ranks), *flags, "--", *words]

    def run(self, words):
        return subprocess.run(words, env=self.environment, capture_output=True, text=True, timeout=240)

    def start(self, words):
        return subprocess.Popen(words, env=self.environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)

    def losses(self, out):
        return [json.loads(line)["loss"] for line in (self.folder / out / "metrics.jsonl").read_text().splitlines()]

    def weights(self, out):
        return (self.folder / out / "model" / "open_clip_model.safetensors").read_bytes()


def children_of(launcher):
    """Processes of the ranks, in their order."""
    found = {}
    for entry in pathlib.Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            parent = int((entry / "stat").read_text().rsplit(")", 1)[1].split()[1])
            variables = (entry / "environ").read_bytes().split(b"\0")
        except (OSError, ValueError):
            continue
        if parent == launcher:
            for variable in variables:
                if variable.startswith(b"RANK="):
                    found[int(variable[5:])] = int(entry.name)
    return [found[rank] for rank in sorted(found)]


def wait_for(condition, seconds):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if condition():
            return True
        time.sleep(0.05)
    return False


def lines_in(path):
    return path.read_text().count("\n") if path.exists() else 0


def trains_as_one_process(jobs):
    alone = jobs.run([jobs.program, *jobs.train("alone", 12)])
    expect(alone.returncode == 0, alone.stderr)
    two = jobs.run(jobs.launch(2, jobs.train("two", 12)))
    expect(two.returncode == 0, two.stderr)
    expect("report" in two.stdout, "rank 0 says where the report is")
    for a, b in zip(jobs.losses("alone"), jobs.losses("two"), strict=True):
        expect(abs(a - b) <= 1e-5 * abs(a), f"losses {a} and {b}")
    again = jobs.run(jobs.launch(2, jobs.train("again", 12)))
    expect(again.returncode == 0 and jobs.weights("again") == jobs.weights("two"), "two runs on two ranks are equal")


def evaluates_as_one_process(jobs):
    (jobs.folder / "classes.txt").write_text("".join(f"a square of colour {i}\n" for i in range(48)))
    common = ["--model", str(jobs.folder / "alone" / "model"), "--data", str(jobs.folder / "pairs.tsv"), "--json"]
    for words in (["eval", *common], ["zero-shot", *common, "--classes", str(jobs.folder / "classes.txt")]):
        alone, three = jobs.run([jobs.program, *words]), jobs.run(jobs.launch(3, words))
        expect(three.returncode == 0, three.stderr)
        expect(close(json.loads(alone.stdout), json.loads(three.stdout)), f"{words[0]}: {three.stdout} of {alone.stdout}")


def close(a, b):
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(close(a[key], b[key]) for key in a)
    if isinstance(a, list):
        return len(a) == len(b) and all(map(close, a, b))
    return a == b or abs(a - b) <= 1e-6


def says_what_is_wrong(jobs):
    for words, status, what in (
            (jobs.launch(2, ["evaluate"]), 1, "launch: runs train, eval and zero-shot"),
            (jobs.launch(2, jobs.train("two", 12)), 1, "already holds a run"),
            (jobs.launch(2, jobs.train("none", 2, data="nowhere.tsv")), 1, "nowhere.tsv"),
            (jobs.launch(7, jobs.train("none", 2)), 1, "batch size 6"),
            (jobs.launch(2, jobs.train("none", 2, "--no-such-flag")), 2, "--no-such-flag"),
            ([jobs.program, "launch", "--", "train"], 2, "--ranks"),
            (jobs.launch(2, jobs.train("none", 2), "--hosts", "/nowhere"), 1, "/nowhere"),
            (jobs.launch(2, jobs.train("two", 12), "--restarts", "2"), 1, "already holds a run"),
            (jobs.launch(3, jobs.train("none", 2), "--elastic", "2"), 1, "--restarts"),
    ):
        ended = jobs.run(words)
        expect(ended.returncode == status, f"{words[1:4]} ends with {ended.returncode}: {ended.stderr}")
        expect(what in ended.stderr, f"{what!r} is not in: {ended.stderr}")


def outlives_a_kill(jobs, ranks, undisturbed, out, steps, moment, signal_number, rng):
    """Disturbs a job at some share of its steps; it starts again by itself."""
    job = jobs.start(jobs.launch(ranks, jobs.train(out, steps, "--checkpoint-every", "7", "--resume"), "--restarts", "1"))
    metrics = jobs.folder / out / "metrics.jsonl"
    reached = wait_for(lambda: lines_in(metrics) >= moment * steps, 120)
    victims = children_of(job.pid)
    expect(reached and len(victims) == ranks, f"{out}: there are {len(victims)} processes to disturb")
    time.sleep(rng.random() * 0.05)
    victim = rng.randrange(len(victims))
    began = time.monotonic()
    os.kill(victims[victim], signal_number)
    others = [pid for pid in victims if pid != victims[victim]]
    expect(wait_for(lambda: not any(pathlib.Path(f"/proc/{pid}").exists() for pid in others), 45), f"{out}: the others end")
    seconds = time.monotonic() - began
    text = job.communicate(timeout=240)[0]
    expect(job.returncode == 0, f"{out}: ended with {job.returncode}: {text}")
    named = f"rank {victim} was killed" if signal_number == signal.SIGKILL else f"rank {victim} on host"
    expect(named in text, f"{out}: rank {victim} is named in: {text}")
    expect(seconds < 30, f"{out}: the others ended after {seconds:.1f} s")
    expect(jobs.weights(out) == undisturbed, f"{out}: the weights are an undisturbed run's")
    return seconds


def goes_on_with_those_that_are_left(jobs):
    """Four ranks, then the three that outlive a kill, then four again: the same batches, and the losses of one process."""
    steps, words = 50, lambda out: jobs.train(out, 50, "--checkpoint-every", "5", "--resume")
    alone = jobs.run([jobs.program, *words("of one")])
    expect(alone.returncode == 0, alone.stderr)
    metrics = jobs.folder / "elastic" / "metrics.jsonl"
    job = jobs.start(jobs.launch(4, words("elastic"), "--restarts", "1", "--elastic", "3"))
    expect(wait_for(lambda: lines_in(metrics) >= 12, 120), "four ranks train")
    four = children_of(job.pid)
    os.kill(four[2], signal.SIGKILL)
    expect(wait_for(lambda: children_of(job.pid) and not set(four) & set(children_of(job.pid)), 120), "all start again")
    expect(wait_for(lambda: lines_in(metrics) >= 25, 120), "those that are left train")
    expect(len(children_of(job.pid)) == 3, "three ranks are left")
    job.send_signal(signal.SIGTERM)
    text = job.communicate(timeout=60)[0]
    expect("rank 2 was killed" in text and "start again on 3 rank(s)" in text, text)
    ended = jobs.run(jobs.launch(4, words("elastic")))
    expect(ended.returncode == 0, ended.stderr)
    losses = list(zip(jobs.losses("of one"), jobs.losses("elastic"), strict=True))
    expect(len(losses) == steps and all(abs(a - b) <= 1e-5 * abs(a) for a, b in losses), f"losses differ: {losses}")


def ends_with_its_launcher(jobs):
    for how in (signal.SIGTERM, signal.SIGKILL):
        job = jobs.start(jobs.launch(2, jobs.train(f"ends {how}", 100000)))
        expect(wait_for(lambda: lines_in(jobs.folder / f"ends {how}" / "metrics.jsonl") > 2, 60), "it trains")
        ranks = children_of(job.pid)
        job.send_signal(how)
        gone = wait_for(lambda: not any(pathlib.Path(f"/proc/{pid}").exists() for pid in ranks), 20)
        job.communicate(timeout=60)
        expect(gone and len(ranks) == 2, f"its processes end with a launcher that got {how.name}")
        expect(job.returncode != 0, "a run that was ended is no success")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--program", required=True)
    parser.add_argument("--disturb", type=int, default=0)
    parser.add_argument("--ranks", type=int, default=3)
    parser.add_argument("--seed", type=int, default=1)
    flags = parser.parse_args()
    rng = random.Random(flags.seed)
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        write_data(folder)
        jobs = Jobs(flags.program, folder)
        ranks = flags.ranks if flags.disturb else 2
        steps = 300 if flags.disturb else 60
        if not flags.disturb:
            trains_as_one_process(jobs)
            evaluates_as_one_process(jobs)
            says_what_is_wrong(jobs)
            goes_on_with_those_that_are_left(jobs)
            ends_with_its_launcher(jobs)
        ended = jobs.run(jobs.launch(ranks, jobs.train("undisturbed", steps)))
        expect(ended.returncode == 0, ended.stderr)
        undisturbed = jobs.weights("undisturbed")
        taken = []
        for i in range(flags.disturb or 1):
            how = signal.SIGSTOP if flags.disturb and i % 2 else signal.SIGKILL
            moment = rng.uniform(0.05, 0.9)
            taken.append(outlives_a_kill(jobs, ranks, undisturbed, f"disturbed {i}", steps, moment, how, rng))
            print(f"{i + 1}: {how.name} at {moment:.0%}: the others ended after {taken[-1]:.1f} s", flush=True)
        print(f"longest {max(taken):.1f} s; {len(faults)} fault(s)")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
