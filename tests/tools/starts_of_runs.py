#!/usr/bin/env python3
"""What runs start from, as users have it: towers, models and configs that are gone when a run goes on, vocabularies that
nobody gave, lists from pipes, files that never end, and runs that are refused before their first step.

  python3 tests/tools/starts_of_runs.py --program build/bin/vlalign

Exits with 1 when something isn't as it should be.
"""
import argparse
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

from launched_jobs import MODEL
from recipes import Place, expect, faults

FIXTURES = pathlib.Path(__file__).resolve().parents[1] / "fixtures"


def text_tower(folder):
    """The fixture's BERT with a vocabulary of its size: each letter is an entry."""
    shutil.copytree(FIXTURES / "model" / "hf_bert", folder)
    letters = "abcdefghijklmnopqrstuvwxyz"
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *letters, *("##" + letter for letter in letters)]
    words += [f"[unused{i}]" for i in range(514 - len(words))]
    (folder / "vocab.txt").write_text("".join(word + "\n" for word in words))


def flags_of(place, **others):
    flags = {"data": "pairs.tsv", "steps": 4, "batch-size": 6, "loader-threads": 1, "threads": 1, "checkpoint-every": 2, **others}
    return [word for key, value in flags.items() for word in (f"--{key}", value)]


def cut_back(place, run, step):
    """The run as it was behind this step."""
    folder = place.folder / run
    for checkpoint in (folder / "checkpoints").glob("step-*"):
        if int(checkpoint.name[5:]) > step:
            shutil.rmtree(checkpoint)
    shutil.rmtree(folder / "model")
    (folder / "checkpoints" / "latest").write_text(f"step-{step:08}\n")


def goes_on_without_its_sources(place):
    """To the weights of the same run that nothing disturbed."""
    text_tower(place.folder / "tower")
    first = place.train(*flags_of(place, model="model.json", out="first"))
    expect(first.returncode == 0, first.stderr)
    shutil.copytree(place.folder / "first" / "model", place.folder / "begin")
    (place.folder / "own.json").write_text(json.dumps(MODEL))
    cases = {"text-tower": ("tower", {"model": "model.json", "text-tower": "tower"}),
             "image-tower": ("begin", {"model": "model.json", "image-tower": "begin"}),
             "init": ("begin", {"init": "begin"}), "model": ("own.json", {"model": "own.json"})}
    for flag, (source, flags) in cases.items():
        run = f"gone-{flag}"
        whole = place.train(*flags_of(place, **flags, out=run))
        expect(whole.returncode == 0, whole.stderr)
        weights = place.weights(run)
        cut_back(place, run, 2)
        (place.folder / source).rename(place.folder / "away")
        again = place.train("--resume", run)
        expect(again.returncode == 0 and f"--{flag} {place.folder}/{source}: is gone" in again.stderr, again.stderr)
        expect(place.weights(run) == weights, f"{run}: other weights than those of the run that saw {source}")
        (place.folder / "away").rename(place.folder / source)
    cut_back(place, "gone-text-tower", 2)
    other = place.train("--resume", "gone-text-tower", "--text-tower", "mistyped")
    expect(other.returncode == 1 and f'began with "{place.folder}/tower"' in other.stderr, other.stderr)


def names_the_keys_that_differ(place):
    config = json.loads((place.folder / "own.json").read_text())
    config["text_cfg"]["layers"] = config["text_cfg"]["layers"] + 1
    (place.folder / "deeper.json").write_text(json.dumps(config))
    expect(place.train(*flags_of(place, model="own.json", out="same")).returncode == 0, "a plain run")
    other = place.train(*flags_of(place, model="deeper.json", out="same"), "--resume")
    expect(".text_cfg.layers was" in other.stderr and "vision_cfg" not in other.stderr, other.stderr)


def leaves_reports_alone(place):
    """Where a run is refused before its first step."""
    refused = place.train(*flags_of(place, model="own.json", out="refused", **{"batch-size": 600}))
    expect(refused.returncode == 1 and "report" not in refused.stderr, refused.stderr)
    report = place.folder / "same" / "report.html"
    before = report.read_bytes()
    refused = place.train(*flags_of(place, model="own.json", out="same", title="Another"))
    expect(refused.returncode == 1 and report.read_bytes() == before, "the report of the run that is there")


def tells_of_a_trained_vocabulary(place):
    config = json.loads((place.folder / "own.json").read_text())
    config["text_cfg"].update(hf_tokenizer_name="google/bert-base-uncased", vocab_size=300)
    (place.folder / "named.json").write_text(json.dumps(config))
    run = place.train(*flags_of(place, model="named.json", out="named"))
    expect("the tokenizer google/bert-base-uncased" in run.stderr and "--tokenizer" in run.stderr, run.stderr)


def times_a_model_with_its_own_vocabulary(place):
    for command in (["bench", "latency", "--runs", "1"], ["bench", "step", "--batch-size", "2", "--steps", "1"]):
        timed = place.train(words=[place.program, *command, "--model", "tiny", "--threads", "1", "--json"])
        expect(timed.returncode == 0 and json.loads(timed.stdout)["words"] == "made up", timed.stderr)


def reads_lists_from_pipes_and_refuses_what_never_ends(place):
    words = [place.program, "zero-shot", "--model", "begin", "--data", "named.tsv", "--threads", "1", "--json", "--classes"]
    classes = (place.folder / "classes.txt").read_text()
    figures = [subprocess.run([*words, file], cwd=place.folder, env=place.environment, text=True, capture_output=True,
                              input=classes, timeout=120).stdout for file in ("classes.txt", "/dev/stdin")]
    expect(figures[0] and figures[0] == figures[1], f"classes of a file and of a pipe: {figures}")
    for make in (lambda file: file.symlink_to("/dev/zero"), os.mkfifo):
        broken = place.folder / "broken"
        shutil.copytree(place.folder / "tower", broken)
        (broken / "config.json").unlink()
        make(broken / "config.json")
        for arguments in (["inspect", "--model", broken], ["train", *flags_of(place, model="own.json", out="no"), "--text-tower", broken]):
            refused = place.train(words=[place.program, *map(str, arguments)])
            expect(refused.returncode == 1 and "config.json: is not a regular file" in refused.stderr, refused.stderr)
        shutil.rmtree(broken)


def points_to_the_flag_of_a_tower(place):
    refused = place.train(words=[place.program, "inspect", "--model", "tower"])
    expect("--text-tower tower" in refused.stderr, refused.stderr)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--program", default="build/bin/vlalign")
    program = str(pathlib.Path(parser.parse_args().program).resolve())
    with tempfile.TemporaryDirectory() as folder:
        place = Place(program, pathlib.Path(folder).resolve())
        goes_on_without_its_sources(place)
        names_the_keys_that_differ(place)
        leaves_reports_alone(place)
        tells_of_a_trained_vocabulary(place)
        times_a_model_with_its_own_vocabulary(place)
        reads_lists_from_pipes_and_refuses_what_never_ends(place)
        points_to_the_flag_of_a_tower(place)
    print(f"{len(faults)} fault(s)")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
