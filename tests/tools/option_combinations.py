#!/usr/bin/env python3
"""Trains with many combinations of `vlalign train`'s options on small made data. Each must either train (every loss finite, the
model finite, the loss lower in the end, and equal to that of a twin where an equality is known) or be refused with exit status 1
or 2 and a message. Prints a table; exits 1 on any violation. Needs a built program and no Python package.

  python3 tests/tools/option_combinations.py [NAME...]     (all combinations, or those whose name holds NAME; about 7 minutes on two cores)
"""
import array
import json
import math
import os
import shutil
import struct
import subprocess
import sys
import tempfile
import zlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PROGRAM = Path(os.environ.get("VLALIGN_BUILD", ROOT / "build")) / "bin" / "vlalign"
STEPS, BATCH = 16, 8
LOSSES = ["infonce", "infonce_smoothed", "infonce_in", "dcl", "hcl", "siglip", "cloob", "cyclip", "filip", "simclr", "distill",
          "feature_distill", "interactive", "triplet", "align_uniform", "temperature_free"]
TAUGHT = {"distill", "feature_distill", "interactive"}
LARGEST = str(2**63 - 1)


def write_png(path, colour, stripe):
    rows = b"".join(b"\0" + b"".join(bytes(colour if (x // 8) % 2 else stripe) for x in range(32)) for _ in range(32))
    chunk = lambda kind, data: struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", 32, 32, 8, 2, 0, 0, 0)) +
                     chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b""))


def make_data(folder):
    colours = dict(red=(220, 30, 30), green=(30, 180, 40), blue=(30, 40, 220), white=(240, 240, 240), black=(10, 10, 10),
                   yellow=(240, 230, 20))
    lines, repeated = ["filepath\ttitle"], ["filepath\ttitle"]
    for first, a in colours.items():
        for second, b in list(colours.items())[:4]:
            write_png(folder / f"{first}-{second}.png", a, b)
            lines.append(f"{first}-{second}.png\ta {first} square with {second} stripes")
            repeated.append(f"{first}-{second}.png\ta {first} square")
    (folder / "pairs.tsv").write_text("\n".join(lines) + "\n")
    (folder / "repeated.tsv").write_text("\n".join(repeated) + "\n")
    text = dict(context_length=16, vocab_size=600, width=32, heads=2, layers=1)
    models = dict(vit=dict(image_size=32, layers=2, width=32, head_width=16, patch_size=8),
                  resnet=dict(image_size=32, layers=[1, 1, 1, 1], width=8, head_width=16, patch_size=None))
    for name, vision in models.items():
        (folder / f"{name}.json").write_text(json.dumps(dict(embed_dim=32, vision_cfg=vision, text_cfg=text)))


class Case:
    def __init__(self, name, flags, *, refused=None, falls=True, twin=None, tower="vit", data="pairs.tsv", fresh=True, steps=True):
        self.name, self.flags, self.refused, self.falls, self.twin = name, [str(f) for f in flags], refused, falls, twin
        self.tower, self.data, self.fresh, self.steps = tower, data, fresh, steps


def needs(loss):
    """What a loss can't do without."""
    flags = ["--loss", loss]
    if "simclr" in loss:
        flags += ["--aug", "basic"]
    if any(name in loss for name in TAUGHT):
        flags += ["--teacher", "TEACHER"]
    return flags


def cases():
    """twin: (name of another case, what is equal). "bits": the model's file; "steps": losses within 1e-5 while the weights are
    the same to roundings, which is the first two steps."""
    for loss in LOSSES:
        plain, of = f"{loss}", needs(loss)
        yield Case(plain, of)
        yield Case(f"{loss}, micro-batch 3", of + ["--micro-batch", 3], twin=(plain, "steps"))
        yield Case(f"{loss}, bf16", of + ["--precision", "bf16"])
        yield Case(f"{loss}, bf16, micro-batch 8, clip, ema", of + ["--precision", "bf16", "--micro-batch", 8, "--grad-clip", 1,
                                                                   "--ema", 0.9])
        yield Case(f"{loss}, lora", of + ["--lora", 4, "--lora-train", "*projection*", "--lora-train", "logit_scale"])
        yield Case(f"{loss}, resnet, clip", of + ["--grad-clip", 1], tower="resnet")
    info = needs("infonce")
    for name, flags in {
            "ema 0.5": ["--ema", 0.5], "checkpointing": ["--grad-checkpointing"], "checkpoints": ["--checkpoint-every", 4],
            "weight 1": ["--loss", "1*infonce"], "ema 0": ["--ema", 0], "threads given": ["--threads", 1]}.items():
        yield Case(f"infonce, {name}", info + flags if "--loss" not in flags else flags, twin=("infonce", "bits"))
    yield Case("infonce + 0 cyclip", ["--loss", "infonce+0*cyclip"], twin=("infonce", "steps"))
    yield Case("infonce, targets captions, all distinct", info + ["--targets", "captions"], twin=("infonce", "steps"))
    yield Case("infonce, targets captions, repeated", info + ["--targets", "captions"], data="repeated.tsv")
    yield Case("infonce, targets tokens", info + ["--targets", "tokens"])
    yield Case("siglip, targets tokens", needs("siglip") + ["--targets", "tokens"])
    yield Case("triplet, targets captions", needs("triplet") + ["--targets", "captions"], data="repeated.tsv")
    yield Case("siglip, targets captions, lora", needs("siglip") + ["--targets", "captions", "--lora", 2, "--lora-train", "*"],
               data="repeated.tsv")
    for aug in ("basic", "mild", "strong"):
        yield Case(f"infonce, aug {aug}", info + ["--aug", aug], falls=aug != "strong")
        yield Case(f"siglip, aug {aug}, micro-batch 4", needs("siglip") + ["--aug", aug, "--micro-batch", 4], falls=aug != "strong")
    for lock in (["--lock-image"], ["--lock-text"], ["--lock-image", "1"], ["--lock-image", "--lock-text"],
                 ["--lock-image", "2", "--lock-text", "1"]):
        yield Case("infonce, " + " ".join(lock), info + lock)
        yield Case("infonce, micro-batch 4, " + " ".join(lock), info + ["--micro-batch", 4] + lock,
                   twin=("infonce, " + " ".join(lock), "steps"))
    yield Case("resnet, lock, batch norm", info + ["--lock-image", "--freeze-batch-norm"], tower="resnet")
    yield Case("resnet, batch norm, micro-batch", info + ["--freeze-batch-norm", "--micro-batch", 4], tower="resnet")
    yield Case("resnet, micro-batch, bf16", info + ["--micro-batch", 4, "--precision", "bf16"], tower="resnet")
    yield Case("resnet, ema, layer decay", info + ["--ema", 0.9, "--layer-decay", 0.7], tower="resnet")
    yield Case("resnet, lora of the text", info + ["--lora", 2, "--lora-modules", "text.*"], tower="resnet", falls=False)
    yield Case("freeze text", info + ["--freeze", "text.*"])
    yield Case("freeze text, ema, clip", info + ["--freeze", "text.*", "--ema", 0.5, "--grad-clip", 0.5])
    yield Case("layer decay 0", info + ["--layer-decay", 0])
    yield Case("simclr beside, clip, bf16", needs("infonce+0.5*simclr") + ["--grad-clip", 1, "--precision", "bf16"])
    yield Case("distill beside, ema", needs("infonce+distill") + ["--ema", 0.9])
    yield Case("filip beside, lock", needs("infonce+0.5*filip") + ["--lock-text"])
    yield Case("no shuffle, no warm-up", info + ["--no-shuffle", "--warmup", 0])
    yield Case("learning rate 0", info + ["--lr", 0], falls=False)
    yield Case("no decay", info + ["--weight-decay", 0])
    yield Case("batch of all", info + ["--batch-size", 24])
    yield Case("epochs", info + ["--epochs", 4], steps=False)
    yield Case("init", ["--init", "TEACHER", "--lr", 1e-4], fresh=False, falls=False)
    yield Case("init, larger pictures", ["--init", "TEACHER", "--image-size", 48, "--lr", 1e-4], fresh=False, falls=False)
    yield from refusals(info)


def refusals(info):
    for name, flags, message in [
        ("weight decay nan", ["--weight-decay", "nan"], "weight_decay"),
        ("weight decay negative", ["--weight-decay", "-1"], "weight_decay"),
        ("lr nan", ["--lr", "nan"], "learning_rate"), ("lr inf", ["--lr", "inf"], "learning_rate"),
        ("lr negative", ["--lr=-1"], "learning_rate"), ("lr huge", ["--lr", "1e38", "--warmup", 0], "finite"),
        ("clip 0", ["--grad-clip", 0], "grad_clip"), ("clip nan", ["--grad-clip", "nan"], "grad_clip"),
        ("ema 1", ["--ema", 1], "ema_decay"), ("ema nan", ["--ema", "nan"], "ema_decay"),
        ("micro-batch 2^63 - 1", ["--micro-batch", LARGEST], "micro_batch"), ("micro-batch negative", ["--micro-batch=-1"], "micro"),
        ("batch 2^63 - 1", ["--batch-size", LARGEST], "batch size"), ("batch 0", ["--batch-size", 0], "batch-size"),
        ("batch of 25", ["--batch-size", 25], "larger than"),
        ("warm-up of all steps", ["--warmup", STEPS], "warmup"), ("warm-up negative", ["--warmup=-1"], "warmup"),
        ("checkpoint every -1", ["--checkpoint-every=-1"], "checkpoint-every"),
        ("threads 100,000", ["--threads", 100000], "threads"), ("threads 0", ["--threads", 0], "threads"),
        ("threads negative", ["--threads=-2"], "threads"),
        ("lora 1,000,000", ["--lora", 1000000], "rank"), ("lora 0", ["--lora", 0], "rank"),
        ("lora alpha nan", ["--lora", 2, "--lora-alpha", "nan"], "alpha"), ("lora of nothing", ["--lora", 2, "--lora-modules", "x*"], "fits"),
        ("layer decay 2", ["--layer-decay", 2], "layer_decay"), ("layer decay nan", ["--layer-decay", "nan"], "layer_decay"),
        ("freeze all", ["--freeze", "*"], "frozen"), ("freeze nothing", ["--freeze", "nothing.*"], "fits"),
        ("lock 99 groups", ["--lock-image", 99], "lock_image"), ("lock -1 groups", ["--lock-text=-1"], "lock_text"),
        ("unknown loss", ["--loss", "none"], "unknown loss"), ("weight nan", ["--loss", "nan*infonce"], "finite"),
        ("weight 0 alone", ["--loss", "0*infonce"], "weight"),
        ("simclr without views", ["--loss", "simclr"], "augmentation"), ("distill without teacher", ["--loss", "distill"], "teacher"),
        ("teacher without distill", ["--teacher", "TEACHER"], "teacher"), ("targets without use", ["--loss", "dcl", "--targets", "captions"], "targets"),
        ("unknown precision", ["--precision", "fp8"], "precision"), ("unknown device", ["--device", "tpu"], "device"),
        ("unknown augmentation", ["--aug", "wild"], "wild"), ("tokenizer of 1", ["--tokenizer", "train:1"], "514"),
        ("steps and epochs", ["--epochs", 2], "excludes"), ("steps 0", ["--steps", 0], "steps"),
    ]:
        yield Case(f"refused: {name}", (info if "--loss" not in flags else []) + flags, refused=message)
    yield Case("refused: epochs 2^63 - 1", info + ["--epochs", LARGEST], refused="epochs", steps=False)
    yield Case("siglip from a model without bias", ["--init", "TEACHER", "--loss", "siglip"], fresh=False, falls=False)
    yield Case("siglip with a bias of its own", ["--init", "TEACHER", "--loss", "siglip", "--logit-bias=-2.5"], fresh=False, falls=False)
    yield Case("refused: a bias that the loss has no use for", info + ["--logit-bias=-2.5"], refused="--logit-bias")
    yield Case("refused: resume with another learning rate", info + ["--resume", "--lr", "1e-5", "--out", "INFONCE"],
               refused="lr was")


def weights_of(folder):
    """{name: floats} of a model folder's safetensors; the file's bytes."""
    data = next(folder.glob("*model.safetensors")).read_bytes()
    size = struct.unpack("<Q", data[:8])[0]
    tensors = {}
    for name, entry in json.loads(data[8:8 + size]).items():
        if name != "__metadata__" and entry["dtype"] == "F32":
            begin, end = entry["data_offsets"]
            tensors[name] = array.array("f", data[8 + size + begin:8 + size + end])
    return tensors, data


def metrics_of(run):
    return [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]


class Session:
    def __init__(self, work):
        self.work, self.data = work, work / "data"
        self.data.mkdir()
        make_data(self.data)

    def run_of(self, name):
        return self.work / "".join(c if c.isalnum() else "_" for c in name)

    def train(self, case, out=None):
        places = {"TEACHER": self.run_of("teacher") / "model", "INFONCE": self.run_of("infonce")}
        flags = [str(places.get(f, f)) for f in case.flags]
        defaults = {"--data": self.data / case.data, "--out": out or self.run_of(case.name), "--batch-size": BATCH, "--lr": 2e-3,
                    "--warmup": 2, "--threads": 1, "--seed": 3}
        if case.fresh:
            defaults |= {"--model": self.data / f"{case.tower}.json", "--tokenizer": "train:600"}
        if case.steps:
            defaults["--steps"] = STEPS
        given = {f.split("=")[0] for f in flags}
        command = [str(PROGRAM), "train", "--json"] + flags
        for flag, value in defaults.items():
            if flag not in given:
                command += [flag, str(value)]
        return subprocess.run(command, capture_output=True, text=True, timeout=120)

    def faults_of_training(self, case, done):
        faults = []
        if done.returncode != 0:
            return [f"exit {done.returncode}: {done.stderr.strip().splitlines()[-1:]}"]
        run = self.run_of(case.name)
        losses = [m["loss"] for m in metrics_of(run)]
        if case.steps and len(losses) != STEPS:
            faults.append(f"{len(losses)} lines in metrics.jsonl")
        if not all(isinstance(l, float) and math.isfinite(l) for l in losses):
            faults.append("a loss is not finite")
        for model in [run / "model"] + ([run / "model-ema"] if "--ema" in case.flags else []):
            for name, values in weights_of(model)[0].items():
                if not all(map(math.isfinite, values)):
                    faults.append(f"{model.name}: {name} is not finite")
        if json.loads(done.stdout).get("loss") != losses[-1]:
            faults.append("--json tells another loss than metrics.jsonl")
        if case.falls and not sum(losses[-3:]) < sum(losses[:3]):
            faults.append(f"the loss does not fall: {losses[0]:.4f} to {losses[-1]:.4f}")
        return faults

    def faults_of_refusal(self, case, done):
        faults = []
        if done.returncode not in (1, 2):
            faults.append(f"exit {done.returncode}")
        if case.refused.lower() not in done.stderr.lower():
            faults.append(f"expected \"{case.refused}\" in the message, got {done.stderr.strip()[-200:]!r}")
        if (self.run_of(case.name) / "model").exists():
            faults.append("left a model")
        return faults

    def faults_of_twin(self, case):
        other, what = case.twin
        mine, its = self.run_of(case.name), self.run_of(other)
        if what == "bits":
            return [] if weights_of(mine / "model")[1] == weights_of(its / "model")[1] else [f"other bits than {other}"]
        pairs = list(zip(metrics_of(mine), metrics_of(its)))[:2]
        return [f"step {a['step']}: loss {a['loss']}, {other}'s {b['loss']}" for a, b in pairs
                if abs(a["loss"] - b["loss"]) > 1e-5 * max(1, abs(b["loss"]))]

    def check(self, case):
        try:
            done = self.train(case)
        except subprocess.TimeoutExpired:
            return case, ["hangs"]
        return case, self.faults_of_refusal(case, done) if case.refused else self.faults_of_training(case, done)

    def check_resume(self, name, flags, tower="vit"):
        """A run goes on from its checkpoint in the middle to the bits of the whole."""
        case = Case(name, flags + ["--checkpoint-every", STEPS // 2], tower=tower)
        case, faults = self.check(case)
        run, again = self.run_of(name), self.work / (self.run_of(name).name + "_again")
        if faults:
            return case, faults
        shutil.copytree(run, again)
        shutil.rmtree(again / "model")
        shutil.rmtree(again / "checkpoints" / f"step-{STEPS:08}")
        (again / "checkpoints" / "latest").write_text(f"step-{STEPS // 2:08}\n")
        case.flags.append("--resume")
        done = self.train(case, out=again)
        if done.returncode != 0:
            return case, [f"exit {done.returncode}: {done.stderr.strip().splitlines()[-1:]}"]
        return case, [] if weights_of(again / "model")[1] == weights_of(run / "model")[1] else ["other bits after a resume"]


def report(results):
    broken = 0
    print("| combination | must | came |\n| --- | --- | --- |")
    for case, faults in results:
        broken += bool(faults)
        twin = f", as {case.twin[0]} ({case.twin[1]})" if case.twin else ""
        print(f"| {case.name} | {'be refused' if case.refused else 'train' + twin} | {'; '.join(faults) or 'ok'} |")
    print(f"\n{len(results)} combinations, {broken} violation(s)")
    return broken


def main():
    wanted = lambda name: not sys.argv[1:] or any(part in name for part in sys.argv[1:])
    all_cases = list(cases())
    with tempfile.TemporaryDirectory() as work, ThreadPoolExecutor(2) as pool:
        session = Session(Path(work))
        teacher, faults = session.check(Case("teacher", needs("infonce")))
        assert not faults, faults
        first = {"infonce"} | {c.twin[0] for c in all_cases if c.twin and wanted(c.name)}
        results = list(pool.map(session.check, [c for c in all_cases if c.name in first]))
        results += pool.map(session.check, [c for c in all_cases if c.name not in first and wanted(c.name)])
        resumes = {"resume": [], "resume, bf16, ema, clip": ["--precision", "bf16", "--ema", 0.9, "--grad-clip", 1],
                   "resume, micro-batch, aug": ["--micro-batch", 3, "--aug", "strong"],
                   "resume, lora": ["--lora", 2, "--lora-train", "*projection*"],
                   "resume, siglip, lock": ["--loss", "siglip", "--lock-image", "1"],
                   "resume, teacher": needs("infonce+distill")}
        results += pool.map(lambda r: session.check_resume(*r), [(n, f) for n, f in resumes.items() if wanted(n)])
        if wanted("resume, resnet"):
            results.append(session.check_resume("resume, resnet", ["--ema", 0.5], tower="resnet"))
        for i, (case, faults) in enumerate(results):
            if case.twin and not faults:
                results[i] = case, session.faults_of_twin(case)
        sys.exit(1 if report(results) else 0)


if __name__ == "__main__":
    main()
