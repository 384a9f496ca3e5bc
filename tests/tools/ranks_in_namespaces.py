#!/usr/bin/env python3
"""A job whose ranks are machines of their own: network namespaces with an address each and, if asked for, a delay between them, as root.

  python3 tests/tools/ranks_in_namespaces.py --program build/bin/vlalign [--ranks 3] [--delay 5] [--cuts 5] [--seed N]

Trains as one process does; then cuts the cable of a random rank at random moments: all ranks end, within 30 s and with 1, and the job
goes on from its checkpoint to an undisturbed run's weights. Ends with 1 when something isn't as it should be.
"""
import argparse
import collections
import fcntl
import os
import pathlib
import random
import select
import struct
import subprocess
import sys
import tempfile
import threading
import time

from launched_jobs import Jobs, expect, faults, lines_in, wait_for, write_data


def ip(*words):
    subprocess.run(["ip", *words], check=True)


class DelayedCables:
    """A switch among tap devices that keeps each frame for a while, where the kernel has no netem."""

    def __init__(self, milliseconds):
        self.seconds = milliseconds / 1000
        self.taps, self.cut, self.port_of, self.on_their_way = [], set(), {}, collections.deque()
        threading.Thread(target=self.run, daemon=True).start()

    def add(self, name):
        tap = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
        fcntl.ioctl(tap, 0x400454CA, struct.pack("16sH22x", f"{name}".encode(), 0x1002))  # TUNSETIFF, IFF_TAP | IFF_NO_PI
        self.taps.append(tap)

    def run(self):
        while True:
            due = self.on_their_way[0][0] - time.monotonic() if self.on_their_way else 0.05
            for tap in select.select(self.taps, [], [], max(0, due))[0]:
                self.take(self.taps.index(tap))
            while self.on_their_way and self.on_their_way[0][0] <= time.monotonic():
                self.deliver(*self.on_their_way.popleft()[1:])

    def take(self, port):
        try:
            while True:
                self.on_their_way.append((time.monotonic() + self.seconds, port, os.read(self.taps[port], 1 << 17)))
        except OSError:  # no more frames, or the device is down
            pass

    def deliver(self, port, frame):
        self.port_of[frame[6:12]] = port
        known = self.port_of.get(frame[0:6])
        for other in range(len(self.taps)) if known is None else [known]:
            if other == port or {port, other} & self.cut:
                continue
            try:
                os.write(self.taps[other], frame)
            except OSError:
                pass


class Machines:
    """Namespaces va-0, va-1, ... on one bridge, or on cables that keep what they carry for some milliseconds."""

    def __init__(self, count, delay):
        self.count = count
        self.remove()
        self.delayed = DelayedCables(delay) if delay else None
        if not delay:
            ip("link", "add", "va-bridge", "type", "bridge")
            ip("link", "set", "va-bridge", "up")
        for rank in range(count):
            name = f"va-{rank}"
            ip("netns", "add", name)
            self.connect(rank, name)
            ip("-n", name, "address", "add", f"10.77.0.{rank + 1}/24", "dev", "lan")
            ip("-n", name, "link", "set", "lo", "up")
            ip("-n", name, "link", "set", "lan", "up")

    def connect(self, rank, name):
        if self.delayed:
            self.delayed.add(f"va-tap{rank}")
            ip("link", "set", f"va-tap{rank}", "netns", name, "name", "lan", "mtu", "60000")
        else:
            ip("link", "add", f"va-out{rank}", "type", "veth", "peer", "name", "lan", "netns", name)
            ip("link", "set", f"va-out{rank}", "master", "va-bridge", "up")

    def remove(self):
        for words in [("netns", "delete", f"va-{rank}") for rank in range(16)] + [("link", "delete", "va-bridge")]:
            subprocess.run(["ip", *words], stderr=subprocess.DEVNULL, check=False)

    def cable(self, rank, state):
        if self.delayed:
            (self.delayed.cut.add if state == "down" else self.delayed.cut.discard)(rank)
        else:
            ip("link", "set", f"va-out{rank}", state)

    def start(self, jobs, words):
        started = []
        for rank in range(self.count):
            variables = {"RANK": str(rank), "WORLD_SIZE": str(self.count), "MASTER_ADDR": "10.77.0.1", "MASTER_PORT": "29500"}
            started.append(subprocess.Popen(["ip", "netns", "exec", f"va-{rank}", jobs.program, *words],
                                            env={**jobs.environment, **variables}, stdout=subprocess.PIPE,
                                            stderr=subprocess.STDOUT, text=True))
        return started


def finish(started, seconds):
    """Statuses and what was said."""
    texts = [process.communicate(timeout=seconds)[0] for process in started]
    return [process.returncode for process in started], texts


def outlives_a_cut(machines, jobs, undisturbed, out, steps, rng):
    words = jobs.train(out, steps, "--checkpoint-every", "7", "--resume")
    started = machines.start(jobs, words)
    moment = rng.uniform(0.05, 0.9)
    expect(wait_for(lambda: lines_in(jobs.folder / out / "metrics.jsonl") >= moment * steps, 240), f"{out}: it trains")
    victim = rng.randrange(machines.count)
    began = time.monotonic()
    machines.cable(victim, "down")
    ended = wait_for(lambda: all(process.poll() is not None for process in started), 60)
    seconds = time.monotonic() - began
    expect(ended and seconds < 30, f"{out}: all end, after {seconds:.1f} s")
    for process in started:
        process.kill()
    statuses, texts = finish(started, 10)
    expect(all(status == 1 for status in statuses), f"{out}: statuses {statuses}")
    expect(any(f"rank {victim} on host" in text for text in texts), f"{out}: rank {victim} is named in: {texts}")
    machines.cable(victim, "up")
    statuses, texts = finish(machines.start(jobs, words), 240)
    expect(not any(statuses), f"{out}: goes on: {texts}")
    expect(jobs.weights(out) == undisturbed, f"{out}: the weights are an undisturbed run's")
    print(f"{out}: cable of rank {victim} cut at {moment:.0%}: all ended after {seconds:.1f} s", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--program", required=True)
    parser.add_argument("--ranks", type=int, default=3)
    parser.add_argument("--delay", type=float, default=0, help="milliseconds that each packet is on its way")
    parser.add_argument("--cuts", type=int, default=5)
    parser.add_argument("--seed", type=int, default=1)
    flags = parser.parse_args()
    rng = random.Random(flags.seed)
    machines = Machines(flags.ranks, flags.delay)
    try:
        with tempfile.TemporaryDirectory() as name:
            folder = pathlib.Path(name)
            write_data(folder)
            jobs, steps = Jobs(flags.program, folder), 40
            alone = jobs.run([jobs.program, *jobs.train("alone", steps)])
            expect(alone.returncode == 0, alone.stderr)
            statuses, texts = finish(machines.start(jobs, jobs.train("apart", steps)), 240)
            expect(not any(statuses), f"{statuses}: {texts}")
            differences = [abs(a - b) / abs(a) for a, b in zip(jobs.losses("alone"), jobs.losses("apart"), strict=True)]
            expect(max(differences) < 1e-5, f"losses differ by {max(differences):.1e}")
            print(f"{flags.ranks} machines, {flags.delay:g} ms on the way: losses of {steps} steps differ by {max(differences):.1e}", flush=True)
            undisturbed = jobs.weights("apart")
            for i in range(flags.cuts):
                outlives_a_cut(machines, jobs, undisturbed, f"cut {i}", steps, rng)
    finally:
        machines.remove()
    print(f"{len(faults)} fault(s)")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
