#!/usr/bin/env python3
"""Checks that a data set's batches are the same wherever it lies, however many processes share it and however often they are killed.

  python3 tests/tools/streamed_batches.py [--batches 300] [--batch-size 64] [--kills 5] [--seed 1] [--program build/bin/vlalign] DATA...

Each DATA names the same shards, such as shards/{000..039}.tar, http://127.0.0.1:8080/{000..039}.tar and s3://bucket/{000..039}.tar. The
digests of all batches (records, captions and augmented pixels) are taken from the first DATA in one process, and compared with those
of every DATA on 1, 2 and 4 ranks, each with a cache that is empty, and of loaders that are killed with SIGKILL at random moments and go on
behind the last batch that they told of on another number of ranks, with what the cache holds by then. Ends with 1 where one differs.
"""
import argparse
import pathlib
import random
import subprocess
import sys
import tempfile
import time


class Loaders:
    def __init__(self, options, cache):
        self.options, self.cache = options, cache

    def start(self, data, first, ranks, threads, folder):
        o = self.options
        command = [o.program, "bench", "loader", "--data", data, "--batch-size", o.batch_size, "--first", first,
                   "--batches", o.batches - first, "--ranks", ranks, "--threads", threads, "--image-size", 32, "--aug", "basic",
                   "--seed", o.seed, "--shuffle-block", o.shuffle_block, "--each", "--cache", self.cache / folder]
        return subprocess.Popen([str(word) for word in command], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)

    def read(self, process, digests, until=None):
        """Takes the digests that the process tells into the list; kills it at a moment."""
        for line in process.stderr:
            words = line.split()
            if "batch" in words:
                place = words.index("batch")
                number, digest = int(words[place + 1]), words[place + 2]
                if number != len(digests):
                    sys.exit(f"expected batch {len(digests)}, the loader tells of {number}")
                digests.append(digest)
            elif "warning" in line or "vlalign:" in line:
                print(line.rstrip(), file=sys.stderr)
            if until and time.monotonic() > until:
                process.kill()
        return process.wait()

    def whole(self, data, ranks, threads, folder):
        digests = []
        status = self.read(self.start(data, 0, ranks, threads, folder), digests)
        if status != 0:
            sys.exit(f"{data} on {ranks} ranks: the loader ended with {status}")
        return digests

    def killed(self, data, kills, folder, chance):
        digests = []
        for attempt in range(kills + 1):
            if len(digests) == self.options.batches:
                break
            last = attempt == kills
            until = None if last else time.monotonic() + chance.uniform(0.3, 3.0)
            ranks = chance.choice((1, 2, 4))
            status = self.read(self.start(data, len(digests), ranks, chance.choice((1, 2, 3)), folder), digests, until)
            if last and status != 0:
                sys.exit(f"{data}: the loader ended with {status}")
        return digests


def compare(what, found, expected):
    different = [i for i, pair in enumerate(zip(found, expected)) if pair[0] != pair[1]]
    same = not different and len(found) == len(expected)
    print(f"{what}: {len(found)} batches, " + ("equal" if same else f"other from batch {different[:1] or len(found)} on"), flush=True)
    return same


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", nargs="+")
    parser.add_argument("--program", default="build/bin/vlalign")
    parser.add_argument("--batches", type=int, default=300)
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--shuffle-block", type=int, default=16384)
    parser.add_argument("--kills", type=int, default=5)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    chance = random.Random(options.seed)
    good = True
    with tempfile.TemporaryDirectory() as folder:
        loaders = Loaders(options, pathlib.Path(folder))
        expected = loaders.whole(options.data[0], 1, 2, "first")
        for place, data in enumerate(options.data):
            for ranks in (1, 2, 4):
                found = loaders.whole(data, ranks, chance.choice((1, 2, 3)), f"{place}-{ranks}")
                good &= compare(f"{data}, {ranks} rank(s)", found, expected)
            found = loaders.killed(data, options.kills, f"{place}-killed", chance)
            good &= compare(f"{data}, killed and resumed", found, expected)
    sys.exit(0 if good else 1)


if __name__ == "__main__":
    main()
