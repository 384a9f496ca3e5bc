#!/usr/bin/env python3
"""Trains by recipes as users do: flags beside them, runs that are stopped and go on, and what is refused.

  python3 tests/tools/recipes.py --program build/bin/vlalign

Each file of examples/recipes trains two steps on a few small pictures. Exits with 1 when something isn't as it should be.
"""
import argparse
import itertools
import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile

from hostile_flags import png
from launched_jobs import MODEL, children_of, lines_in, wait_for

EXAMPLES = pathlib.Path(__file__).resolve().parents[2] / "examples" / "recipes"
COLOURS = {"red": (255, 0, 0), "green": (0, 255, 0), "blue": (0, 0, 255), "white": (255, 255, 255)}
faults = []


def expect(right, what):
    if not right:
        faults.append(what)
        print("WRONG:", what, flush=True)


class Place:
    def __init__(self, program, folder):
        self.program, self.folder = program, folder
        self.environment = {**os.environ, "OMP_NUM_THREADS": "1"}
        (folder / "elsewhere").mkdir()
        names = list(COLOURS) * 6
        for i, name in enumerate(names):
            (folder / f"{i}.png").write_bytes(png(*(max(0, part - i) for part in COLOURS[name]), side=32))
        for table, title in (("pairs.tsv", "a {0} square, number {1}"), ("named.tsv", "{0}"), ("numbered.tsv", "{2}")):
            rows = [f"{i}.png\t{title.format(name, i, i % len(COLOURS))}\n" for i, name in enumerate(names)]
            (folder / table).write_text("filepath\ttitle\n" + "".join(rows))
        (folder / "classes.txt").write_text("\n".join(COLOURS) + "\n")
        (folder / "model.json").write_text(json.dumps(MODEL))

    def recipe(self, name="recipe.json", **changes):
        all_ = {"about": "For a test.", "data": "pairs.tsv", "model": "model.json", "steps": 300, "batch_size": 6,
                "loader_threads": 1, "checkpoint-every": 40, "aug": "mild", **changes}
        (self.folder / name).write_text(json.dumps({key: value for key, value in all_.items() if value is not None}))
        return name

    def words(self, *arguments):
        return [self.program, "train", *map(str, arguments)]

    def train(self, *arguments, where=".", words=None):
        return subprocess.run(words or self.words(*arguments), cwd=self.folder / where, env=self.environment, text=True,
                              capture_output=True, timeout=240)

    def start(self, words, **how):
        return subprocess.Popen(words, cwd=self.folder, env=self.environment, text=True, stdout=subprocess.PIPE,
                                stderr=subprocess.STDOUT, **how)

    def weights(self, run):
        return (self.folder / run / "model" / "open_clip_model.safetensors").read_bytes()

    def json(self, *path):
        return json.loads(self.folder.joinpath(*path).read_text())


def trains_by_a_recipe(place):
    """Flags count more than the recipe; what a run folder holds makes the same run from elsewhere."""
    place.recipe(val=["first=./pairs.tsv", "second=pairs.tsv@1::pairs.tsv@2"], val_note=["One.", "Two."], epochs=9, steps=None,
                 zero_shot="named=named.tsv", classes="classes.txt", templates="simple", lock_image=0, no_shuffle=False)
    one = place.train("--recipe", "recipe.json", "--steps", 3, "--batch-size", 4, "--out", "one", "--warmup", "10%")
    expect(one.returncode == 0, one.stderr)
    saved, here = place.json("one", "recipe.json"), str(place.folder)
    for key, value in {"data": f"{here}/pairs.tsv", "steps": 3, "batch_size": 4, "warmup": "10%", "checkpoint_every": 40,
                       "val": [f"first={here}/pairs.tsv", f"second={here}/pairs.tsv@1::{here}/pairs.tsv@2"], "lock_image": 0,
                       "classes": [f"{here}/classes.txt"], "templates": ["simple"], "no_shuffle": False, "seed": 0,
                       "model": f"{here}/model.json", "val_note": ["One.", "Two."]}.items():
        expect(saved.get(key) == value, f"{key} is {saved.get(key)}, not {value}")
    expect(not {"epochs", "out", "recipe", "resume", "about"} & set(saved), f"of the call alone, or replaced: {saved}")
    two = place.train("--recipe", "../one/recipe.json", "--out", "two", where="elsewhere")
    expect(two.returncode == 0, two.stderr)
    expect(place.weights("elsewhere/two") == place.weights("one"), "a run folder's recipe makes the same run elsewhere")
    expect(place.json("elsewhere", "two", "recipe.json") == saved, "and has the same recipe")


def writes_what_zero_shot_finds(place):
    """Under each set's name stands what `zero-shot --json` says of the model; classes by name or by number."""
    sets = ["--zero-shot", "named=named.tsv", "--zero-shot", "numbered=numbered.tsv", "--classes", "classes.txt"]
    done = place.train("--recipe", place.recipe(), *sets, "--templates", "openai", "--templates", "simple", "--steps", 2, "--out",
                       "classified")
    expect(done.returncode == 0, done.stderr)
    results = place.json("classified", "eval.json")
    for name, templates in (("named", "openai"), ("numbered", "simple")):
        call = [place.program, "zero-shot", "--model", "classified/model", "--data", f"{name}.tsv", "--classes", "classes.txt",
                "--templates", templates, "--json"]
        expect(results.get(name) == json.loads(place.train(words=call).stdout), f"{name}: {results.get(name)}")
    expect("zero-shot" in (place.folder / "classified" / "report.html").read_text(), "the report names the figures")


def trains_by_every_example(place, model):
    for file in sorted(EXAMPLES.glob("*.json")):
        recipe = json.loads(file.read_text())
        words = ["--recipe", file, "--steps", 2, "--batch-size", 4, "--data", "pairs.tsv", "--val", "held_out=pairs.tsv", "--out",
                 f"example-{file.stem}", "--precision", "fp32", "--val-every", 1]
        words += ["--init", model] if "init" in recipe else ["--model", "model.json"]
        words += ["--teacher", model] if "teacher" in recipe else []
        words += ["--micro-batch", 2] if "micro_batch" in recipe else []
        words += ["--warmup", 1] if "warmup" in recipe else []
        words += ["--zero-shot", "known=named.tsv", "--classes", "classes.txt"] if "zero_shot" in recipe else []
        words += ["--stage", "0.5:image_size=16,context_length=8", "--stage", "0.5"] if "stage" in recipe else []
        done = place.train(*words)
        expect(done.returncode == 0, f"{file.name}: {done.stderr}")
        expect(isinstance(recipe.get("about"), str), f"{file.name} says what it is about")


def stops_and_goes_on(place):
    """Two signals, each at some step; then --resume RUN alone comes to the weights of a run that nothing disturbed."""
    place.recipe()
    undisturbed = place.train("--recipe", "recipe.json", "--out", "undisturbed")
    expect(undisturbed.returncode == 0, undisturbed.stderr)
    words = place.words("--recipe", "recipe.json", "--out", "stopped")
    for number, moment in ((signal.SIGINT, 20), (signal.SIGTERM, 120)):
        job = place.start(words)
        metrics = place.folder / "stopped" / "metrics.jsonl"
        expect(wait_for(lambda: lines_in(metrics) >= moment, 120), "it trains")
        job.send_signal(number)
        said = job.communicate(timeout=120)[0]
        expect(job.returncode == 128 + number, f"ends with {job.returncode} after {number.name}: {said}")
        expect("vlalign train --resume stopped" in said, f"says how to go on: {said}")
        latest = (place.folder / "stopped" / "checkpoints" / "latest").read_text().strip()
        expect(latest == f"step-{lines_in(metrics):08}", f"{latest} is of the last of {lines_in(metrics)} steps")
        expect((place.folder / "stopped" / "report.html").exists(), "the report so far is there")
        words = place.words("--resume", "stopped")
    on = place.train("--resume", place.folder / "stopped", where="elsewhere")
    expect(on.returncode == 0, on.stderr)
    expect(place.weights("stopped") == place.weights("undisturbed"), "a run that was stopped comes to the same weights")
    steps = [json.loads(line)["step"] for line in (place.folder / "stopped" / "metrics.jsonl").read_text().splitlines()]
    expect(steps == list(range(1, 301)), "every step is in metrics.jsonl once")
    again = place.train("--resume", "stopped", "--title", "Another title")
    expect(again.returncode == 0, again.stderr)
    expect(place.json("stopped", "recipe.json")["title"] == "Another title", "a flag beside --resume RUN counts, and is kept")


def ends_at_once_at_a_second_signal(place):
    """Both wait for a process that is held, so that it gets them together."""
    job = place.start(place.words("--recipe", place.recipe(steps=100000), "--out", "twice"))
    expect(wait_for(lambda: lines_in(place.folder / "twice" / "metrics.jsonl") >= 3, 120), "it trains")
    for number in (signal.SIGSTOP, signal.SIGINT, signal.SIGTERM, signal.SIGCONT):
        job.send_signal(number)
    job.communicate(timeout=60)
    expect(job.returncode in (-signal.SIGINT, -signal.SIGTERM), f"ends with {job.returncode} at the second signal")


def trains_on_where_signals_are_ignored(place):
    job = place.start(place.words("--recipe", place.recipe(), "--out", "ignored"),
                      preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_IGN))
    expect(wait_for(lambda: lines_in(place.folder / "ignored" / "metrics.jsonl") >= 3, 120), "it trains")
    job.send_signal(signal.SIGINT)
    said = job.communicate(timeout=120)[0]
    expect(job.returncode == 0, f"a run under nohup ends with {job.returncode} at a SIGINT: {said}")


def stops_a_job(place):
    """The launcher's ranks end with a checkpoint, and the job with the signal's status."""
    launch = [place.program, "launch", "-n", "2", "--"]
    place.recipe()
    whole = place.train(words=[*launch, "train", "--recipe", "recipe.json", "--out", "whole job"])
    expect(whole.returncode == 0, whole.stderr)
    job = place.start([*launch, "train", "--recipe", "recipe.json", "--out", "job"])
    metrics = place.folder / "job" / "metrics.jsonl"
    expect(wait_for(lambda: lines_in(metrics) >= 20, 120) and len(children_of(job.pid)) == 2, "two ranks train")
    job.send_signal(signal.SIGTERM)
    said = job.communicate(timeout=120)[0]
    expect(job.returncode == 128 + signal.SIGTERM, f"the job ends with {job.returncode}: {said}")
    latest = place.folder / "job" / "checkpoints" / "latest"
    expect(latest.exists() and latest.read_text().strip() == f"step-{lines_in(metrics):08}", f"with a checkpoint: {said}")
    on = place.train(words=[*launch, "train", "--resume", "job"])
    expect(on.returncode == 0, on.stderr)
    expect(place.weights("job") == place.weights("whole job"), "a job that was stopped comes to the same weights")


def refuses(place):
    (place.folder / "list.json").write_text("[]")
    shutil.copytree(place.folder / "one", place.folder / "old")
    (place.folder / "old" / "recipe.json").unlink()
    numbers = itertools.count()
    by = lambda **changes: ["--recipe", place.recipe(f"by {next(numbers)}.json", **changes), "--out", "none"]
    before = place.json("one", "recipe.json")
    plain = by()
    zero_shot = [*plain, "--zero-shot", "named=named.tsv"]
    for words, status, what in [
        (by(bach_size=4), 1, '.json: "bach_size" is no flag of train; the nearest is "batch_size"'),
        (by(batch_size="4"), 1, '"batch_size": expected a whole number, got "4"'),
        (by(batch_size=4.5), 1, '"batch_size": expected a whole number'),
        (by(lr="high"), 1, '"lr": expected a number'),
        (by(no_shuffle=1), 1, '"no_shuffle": expected true or false'),
        (by(data=5), 1, '"data": expected a text'),
        (by(val=["pairs.tsv", 5]), 1, '"val": expected a text, or a list of such, got 5'),
        (by(checkpoint_every=True, **{"checkpoint-every": None}), 1, '"checkpoint_every": expected a text or a number'),
        (by(batch_size=4, **{"batch-size": 4}), 1, "stands twice"),
        (by(resume=True), 1, '"resume" is said where the program is called'),
        (by(about=1), 1, '"about": expected a text'),
        ([*by(bach_size=4), "--batch-size", "4"], 1, "bach_size"),
        (["--recipe", "list.json", "--out", "none"], 1, "list.json"),
        (["--recipe", "nowhere.json", "--out", "none"], 1, "nowhere.json"),
        (["--recipe", "recipe.json"], 2, "--out is required"),
        ([*plain, "--bach-size", "4"], 2, "--bach-size"),
        (["--resume", "nowhere"], 1, "there is no such run folder"),
        (["--resume", "old"], 1, "has no recipe.json"),
        (["--resume", "one", "--out", "two"], 1, "--out names two"),
        (["--resume", "one", "--lr", "1"], 1, "lr"),
        ([*plain, "--momentum", "0.9"], 1, "--momentum: --optimizer adamw has none"),
        ([*plain, "--cooldown", "10%"], 1, "--cooldown: --schedule cosine has none"),
        ([*plain, "--optimizer", "sgd"], 2, "sgd"),
        ([*plain, "--checkpoint-every", "5s"], 2, "such as 30min"),
        ([*plain, "--checkpoint-every", "0min"], 2, "such as 30min"),
        ([*plain, "--warmup", "101%"], 2, "such as 5%"),
        ([*plain, "--stage", "0.5:size=3"], 2, "size"),
        ([*plain, "--keep-every", "5"], 2, "--keep-last"),
        ([*plain, "--patience", "5"], 2, "--best"),
        ([*plain, "--guard", "x.loss", "--val-every", "5"], 2, "--largest-fall"),
        ([*plain, "--val-every", "5"], 1, "--val-every: there is no set"),
        ([*plain, "--val", "a=pairs.tsv", "--val-every", "5", "--best", "b.loss"], 1, "which are: a"),
        ([*plain, "--val", "a=pairs.tsv", "--val-every", "5", "--best", "a.top1"], 1, "image_to_text.recall@1"),
        (zero_shot, 1, "--classes"),
        ([*zero_shot, *["--classes", "classes.txt"] * 2], 1, "--classes: expected one for all of the 1"),
        ([*zero_shot, "--classes", "classes.txt", "--templates", "OpenAI"], 1, "OpenAI"),
        ([*zero_shot, "--classes", "classes.txt", "--val", "named=pairs.tsv"], 1, '"named" names both'),
        ([*plain, "--zero-shot", "pairs.tsv", "--classes", "classes.txt"], 1, "is not one of the 4 classes"),
        ([*plain, "--classes", "classes.txt"], 2, "--zero-shot"),
    ]:
        done = place.train(*words)
        expect(done.returncode == status and what in done.stderr, f"{words}: ended with {done.returncode}: {done.stderr}")
        expect(not (place.folder / "none").exists(), f"{words}: leaves no run folder")
    expect(place.json("one", "recipe.json") == before, "a resume that is refused leaves the recipe alone")


def prints_help(place):
    short, long = place.train("--help"), place.train("--help-all")
    expect(short.returncode == 0 and "--help-all lists all" in short.stdout, short.stdout)
    expect("--patience" in long.stdout and "--patience" not in short.stdout, "the first page is a part of all")
    expect(all(len(line) <= 80 for line in (short.stdout + long.stdout).splitlines()), "lines have at most 80 columns")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--program", default="build/bin/vlalign")
    program = str(pathlib.Path(parser.parse_args().program).resolve())
    with tempfile.TemporaryDirectory() as folder:
        place = Place(program, pathlib.Path(folder).resolve())
        trains_by_a_recipe(place)
        writes_what_zero_shot_finds(place)
        trains_by_every_example(place, "one/model")
        stops_and_goes_on(place)
        ends_at_once_at_a_second_signal(place)
        trains_on_where_signals_are_ignored(place)
        stops_a_job(place)
        refuses(place)
        prints_help(place)
    print(f"{len(faults)} fault(s)")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
