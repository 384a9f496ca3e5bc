#!/usr/bin/env python3
"""Trains the quick start's model on its pairs sorted by name in 60 shards, mixed in small blocks, and on all of them shuffled.

  python3 tests/tools/sorted_shards.py --pairs build/data/emoji-en [--program build/bin/vlalign] [--block 1024] [--seeds 1,2,3]
                                       [--precision bf16]

The recall@1 of both directions on unseen combinations should be within a point of each other in the mean of the seeds. --pairs is what
examples/quickstart.sh has made. Takes two trainings a seed.
"""
import argparse
import io
import json
import pathlib
import statistics
import subprocess
import tarfile
import tempfile

QUICK_START = "--steps 240 --batch-size 256 --lr 2e-3 --warmup 20 --grad-clip 1 --loss dcl".split()


def write_shards(pairs, folder, count):
    """The pairs' own captions, in the order of the first of them."""
    records = [json.loads(line) for line in (pairs / "train.jsonl").read_text().splitlines()]
    captions = [record["text"] if isinstance(record["text"], list) else [record["text"]] for record in records]
    order = sorted(range(len(records)), key=lambda i: captions[i][0])
    for shard in range(count):
        with tarfile.open(folder / f"{shard:02}.tar", "w") as tar:
            for i in order[len(order) * shard // count:len(order) * (shard + 1) // count]:
                picture = (pairs / records[i]["file_name"]).read_bytes()
                for ending, content in (("png", picture), ("json", json.dumps({"caption": captions[i]}).encode())):
                    member = tarfile.TarInfo(f"{i:05}.{ending}")
                    member.size = len(content)
                    tar.addfile(member, io.BytesIO(content))
    return folder / f"{{00..{count - 1:02}}}.tar"


def recall(options, data, seed, folder, words):
    out = folder / f"run-{pathlib.Path(data).suffix}-{seed}"
    command = [options.program, "train", "--model", "tiny", "--data", str(data), "--out", str(out), "--seed", str(seed), "--val",
               f"unseen_combinations={options.pairs}/combinations.jsonl", "--precision", options.precision,
               "--json"] + QUICK_START + words
    result = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL).stdout)
    test = result.get("unseen_combinations", result)
    return [100 * test[way]["recall@1"] for way in ("image_to_text", "text_to_image")]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=pathlib.Path, required=True)
    parser.add_argument("--program", default="build/bin/vlalign")
    parser.add_argument("--block", type=int, default=1024)
    parser.add_argument("--seeds", default="1,2,3")
    parser.add_argument("--precision", default="bf16")
    options = parser.parse_args()
    means = {}
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        shards = write_shards(options.pairs, folder, 60)
        for what, data, more in (("all shuffled", options.pairs / "train.jsonl", []),
                                 (f"sorted, blocks of {options.block}", shards, ["--shuffle-block", str(options.block)])):
            found = [recall(options, data, seed, folder, more) for seed in options.seeds.split(",")]
            means[what] = [statistics.mean(way) for way in zip(*found)]
            each = "; ".join(f"{a:.1f} {b:.1f}" for a, b in found)
            print(f"{what}: recall@1 {means[what][0]:.1f} image to text, {means[what][1]:.1f} text to image (seeds: {each})", flush=True)


if __name__ == "__main__":
    main()
