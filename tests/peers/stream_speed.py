#!/usr/bin/env python3
"""Times vlalign's loader beside webdataset and MosaicML Streaming on the same pictures, alternately, and prints the medians as a table.

  python3 tests/peers/stream_speed.py --data 'shards/{000..039}.tar' --work DIR [--program build/bin/vlalign] [--batches 40]
                                      [--batch-size 256] [--threads 2] [--rounds 3] [--only WORDS] [--ours "--aug basic"] [--files 20000]

Both peers decode with PIL, apply open_clip's training transform to 224 pixels and tokenize for ViT-B-32, in as many processes as vlalign
has threads; webdataset is put together as open_clip's training does it. DIR keeps what is made once of the shards: Streaming's own
format, with the JPEG bytes as they are, and a table of the first pictures as files for vlalign's own random access (--files). Shards:
tests/tools/make_shards.py. --only takes rows by parts of their names, with commas between them.

The first batch is counted from before the data is opened, without the imports. The peers' rate is counted from when each process has
given its first batch. Nothing else should run meanwhile. Run it with a Python that has these, and less than numpy 2.2:

  pip install torch==2.11.0 torchvision==0.26.0 open_clip_torch==3.3.0 webdataset==1.0.2 mosaicml-streaming==0.13.0
"""
import argparse
import functools
import glob
import io
import itertools
import json
import pathlib
import re
import shlex
import shutil
import statistics
import subprocess
import sys
import tarfile
import time


def shards_of(data):
    """The paths that a pattern names: {000..039} counts, * and ? find."""
    found = re.search(r"\{(\d+)\.\.(\d+)\}", data)
    if found:
        first, last = found.groups()
        paths = [data[:found.start()] + f"{i:0{len(first)}}" + data[found.end():] for i in range(int(first), int(last) + 1)]
    else:
        paths = sorted(glob.glob(data))
    missing = [path for path in paths if not pathlib.Path(path).exists()]
    if missing or not paths:
        sys.exit(f"no shard at {missing[0] if missing else data}")
    return paths


def records_in(shards):
    """(key, jpeg, caption) of each record."""
    for shard in shards:
        with tarfile.open(shard) as members:
            files = {member.name: members.extractfile(member).read() for member in members if not member.name.endswith(".json")}
        for name in files:
            if name.endswith(".jpg"):
                yield name[:-4], files[name], files[f"{name[:-4]}.txt"].decode()


def made_once(folder, shards, make):
    """Makes the folder out of the shards, unless it was made of the same ones."""
    of = json.dumps([[str(pathlib.Path(shard).resolve()), pathlib.Path(shard).stat().st_size] for shard in shards])
    mark = folder / "made-of.json"
    if not mark.exists() or mark.read_text() != of:
        shutil.rmtree(folder, ignore_errors=True)
        make(folder)
        mark.write_text(of)
    return folder


def make_mds(folder, shards):
    from streaming import MDSWriter
    with MDSWriter(out=str(folder), columns={"jpg": "bytes", "txt": "str"}) as writer:
        for _, jpeg, caption in records_in(shards):
            writer.write({"jpg": jpeg, "txt": caption})


def make_files(folder, shards, count):
    folder.mkdir(parents=True)
    lines = ["filepath\ttitle"]
    for key, jpeg, caption in itertools.islice(records_in(shards), count):
        name = f"{len(lines) // 1000:03}/{key}.jpg"
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_bytes(jpeg)
        lines.append(f"{name}\t{caption}")
    (folder / "pairs.tsv").write_text("\n".join(lines) + "\n")


class Preparation:
    """What both peers do with a record: pixels and tokens."""

    def __init__(self):
        import open_clip
        self.transform = open_clip.image_transform(224, is_train=True, mean=open_clip.OPENAI_DATASET_MEAN, std=open_clip.OPENAI_DATASET_STD)
        self.tokenizer = open_clip.get_tokenizer("ViT-B-32")

    def tokens(self, caption):
        return self.tokenizer(caption)[0]

    def pixels(self, jpeg):
        from PIL import Image
        return self.transform(Image.open(io.BytesIO(jpeg)).convert("RGB"))


def webdataset_loader(preparation, shards, batch_size, workers):
    """The pipeline of open_clip_train/data.py, get_wds_dataset, but for its epochs: the shards come again for ever."""
    import webdataset
    dataset = webdataset.DataPipeline(
        webdataset.SimpleShardList(shards), webdataset.detshuffle(bufsize=2000, initial=500), webdataset.split_by_node,
        webdataset.split_by_worker, webdataset.tarfile_to_samples(), webdataset.shuffle(bufsize=5000, initial=1000),
        webdataset.decode("pilrgb"), webdataset.rename(image="jpg;png;jpeg;webp", text="txt"),
        webdataset.map_dict(image=preparation.transform, text=preparation.tokens), webdataset.to_tuple("image", "text"),
        webdataset.batched(batch_size, partial=False)).repeat()
    return webdataset.WebLoader(dataset, batch_size=None, shuffle=False, num_workers=workers, persistent_workers=True)


def streaming_loader(preparation, folder, batch_size, workers):
    import streaming
    import torch

    class Pictures(streaming.StreamingDataset):
        def __getitem__(self, index):
            record = super().__getitem__(index)
            return preparation.pixels(record["jpg"]), preparation.tokens(record["txt"])

    streaming.base.util.clean_stale_shared_memory()
    dataset = Pictures(local=str(folder), shuffle=True, batch_size=batch_size)
    loader = torch.utils.data.DataLoader(dataset, batch_size=batch_size, num_workers=workers, persistent_workers=True, drop_last=True)
    return itertools.chain.from_iterable(itertools.repeat(loader))


def time_loader(make_loader, batches, batch_size, workers):
    began = time.monotonic()
    times = []
    for pixels, tokens in itertools.islice(make_loader(), batches):
        times.append(time.monotonic() - began)
        if tuple(pixels.shape) != (batch_size, 3, 224, 224) or len(tokens) != batch_size:
            sys.exit(f"expected a batch of {batch_size} pictures, got {tuple(pixels.shape)} and {len(tokens)} captions")
    counted = len(times) - workers
    return {"pictures_per_s": counted * batch_size / (times[-1] - times[workers - 1]), "first_batch_s": times[0]}


def run_peer(flags):
    import torch
    torch.set_num_threads(1)
    preparation = Preparation()
    if flags.peer == "webdataset":
        import webdataset  # noqa: F401  outside the time that is taken
        make, data = webdataset_loader, shards_of(flags.data)
    else:
        import streaming  # noqa: F401
        make, data = streaming_loader, flags.work / "mds"
    make_loader = functools.partial(make, preparation, data, flags.batch_size, flags.threads)
    print(json.dumps(time_loader(make_loader, flags.batches, flags.batch_size, flags.threads)))


def last_json(command, environment=None):
    """What the command's last line says; ends with the command's own words where it fails."""
    if not pathlib.Path(command[0]).exists():
        sys.exit(f"no program at {command[0]}")
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True, env=environment)
    if done.returncode != 0 or not done.stdout.strip():
        sys.exit(f"{shlex.join(map(str, command))} ended with {done.returncode}:\n{done.stderr.strip()[-3000:]}")
    return json.loads(done.stdout.strip().splitlines()[-1])


def our_command(flags, data, *more):
    return [flags.program.resolve(), "bench", "loader", "--data", data, "--batch-size", flags.batch_size, "--threads", flags.threads,
            "--batches", flags.batches, *shlex.split(flags.ours), *more, "--json"]


def peer_command(flags, name):
    return [sys.executable, __file__, "--peer", name, "--data", flags.data, "--work", flags.work, "--batch-size", flags.batch_size,
            "--threads", flags.threads, "--batches", flags.batches]


def wanted(flags, row):
    return any(word in row for word in flags.only.split(","))


def rows_of(flags, shards):
    """name -> what to run; makes the data that a row needs."""
    rows = {}
    if wanted(flags, "vlalign, shards"):
        rows["vlalign, shards"] = our_command(flags, flags.data)
    if wanted(flags, "vlalign, files"):
        folder = made_once(flags.work / "files", shards, lambda folder: make_files(folder, shards, flags.files))
        rows["vlalign, files"] = our_command(flags, folder / "pairs.tsv")
    if wanted(flags, "webdataset"):
        rows["webdataset"] = peer_command(flags, "webdataset")
    if wanted(flags, "streaming"):
        made_once(flags.work / "mds", shards, lambda folder: make_mds(folder, shards))
        rows["streaming"] = peer_command(flags, "streaming")
    return rows


def median(results, name, key):
    return statistics.median(result[key] for result in results[name])


def check_digests(results, names):
    """The same data in the same order must be the same, each time and from wherever it is read."""
    digests = {result["digest"] for name in names for result in results.get(name, []) if "digest" in result}
    if len(digests) > 1:
        sys.exit(f"the digests differ: {sorted(map(str, digests))}")


def print_table(results, head, ratio):
    """A row for each loader; ratio(rate) is its last column."""
    print(f"| loader | pictures/s | first batch, s | {head} |\n| --- | --- | --- | --- |")
    for name in results:
        its = median(results, name, "pictures_per_s")
        print(f"| {name} | {its:.4g} | {median(results, name, 'first_batch_s'):.3g} | {ratio(its)} |")


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", required=True)
    parser.add_argument("--work", type=pathlib.Path, required=True)
    parser.add_argument("--program", type=pathlib.Path, default=pathlib.Path("build/bin/vlalign"))
    parser.add_argument("--batches", type=int, default=40)
    parser.add_argument("--batch-size", type=int, default=256)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", default="")
    parser.add_argument("--ours", default="--aug basic", help="more words for vlalign bench loader")
    parser.add_argument("--files", type=int, default=20000, help="pictures that are unpacked for random access")
    parser.add_argument("--peer", choices=("webdataset", "streaming"), help="only time this one, once, and print JSON")
    flags = parser.parse_args()
    if flags.threads < 1 or flags.batches <= flags.threads:
        parser.error("expected --threads of at least 1 and more --batches than that")
    return flags


def main():
    flags = arguments()
    if flags.peer:
        return run_peer(flags)
    flags.work.mkdir(parents=True, exist_ok=True)
    rows = rows_of(flags, shards_of(flags.data))
    results = {name: [] for name in rows}
    for number in range(flags.rounds):
        for name, command in rows.items():
            results[name].append(last_json(command))
            print(f"round {number + 1}: {name}: {results[name][-1]['pictures_per_s']:.0f} pictures/s", file=sys.stderr, flush=True)
    ours = median(results, "vlalign, shards", "pictures_per_s") if "vlalign, shards" in results else None
    print_table(results, "vlalign's shards are times faster", lambda its: f"{ours / its:.2f}" if ours else "")
    for name in ("vlalign, shards", "vlalign, files"):
        check_digests(results, [name])
        for key in ("open_s", "open_shards", "peak_mb"):
            if name in results and key in results[name][0]:
                print(f"{name}: {key} {median(results, name, key):.4g}")


if __name__ == "__main__":
    main()
