#!/usr/bin/env python3
"""Makes webdataset shards of real pictures: parts of Debian's clip art and emoji, cropped, resized and made brighter or darker at random.

  python3 tests/tools/make_shards.py OUT [--shards 40] [--records 10000] [--grain 6] [--seed 1] [--processes 2] [--sources DIR]

OUT gets 000.tar, 001.tar, ...; a record is key.jpg (JPEG, quality 90, 256 to 512 pixels the longer side), key.txt (a caption made of the
source's name) and key.json. Drawings are flat; --grain adds noise like a camera's, so that a JPEG weighs what a photograph's does and takes
as long to decode (0: none). The same settings give the same bytes with the same Pillow, whatever the number of processes. Shards that
are there already are kept, so a run that was stopped goes on.

Needs Pillow, and of Debian's packages openclipart-png and fonts-noto-color-emoji, installed or unpacked into a folder that --sources names:

  apt-get download openclipart-png fonts-noto-color-emoji
  for package in *.deb; do dpkg-deb -x "$package" sources; done
"""
import argparse
import concurrent.futures
import functools
import io
import json
import pathlib
import random
import re
import sys
import tarfile
import time
import unicodedata

from PIL import Image, ImageChops, ImageDraw, ImageEnhance, ImageFont

CLIP_ART = "usr/share/openclipart/png"
FONT = "usr/share/fonts/truetype/noto/NotoColorEmoji.ttf"
EMOJI = [*range(0x2600, 0x27C0), *range(0x1F300, 0x1F650), *range(0x1F680, 0x1F700), *range(0x1F900, 0x1FB00)]
VARIANTS = 8  # pictures of a source in a shard
LARGEST = 1024  # pixels of a source's longer side that are kept
TOO_LARGE = 20_000_000  # pixels; a few drawings have ten times as many and would take most of the time
Image.MAX_IMAGE_PIXELS = None


def caption_of(path):
    """animals/ant_architetto_franc_01.png is "ant architetto franc, animals"."""
    words = [word for word in re.split(r"[^a-z]+", path.stem.lower()) if word]
    return f"{' '.join(words) or 'a picture'}, {path.parent.name.replace('_', ' ')}"


@functools.cache
def font(root):
    return ImageFont.truetype(root / FONT, 109)  # the size of its only strike


def emoji_sources(root):
    """Characters that have a name and a picture in the font."""
    named = [(chr(code), unicodedata.name(chr(code), "").lower()) for code in EMOJI]
    return [(character, name) for character, name in named if name and font(root).getmask(character, "RGBA").getbbox()]


def pixels_of(path):
    with Image.open(path) as opened:
        return opened.width * opened.height


def find_sources(root):
    """(path or character, caption) of each source, in an order that depends on their names only."""
    paths = [path for path in sorted((root / CLIP_ART).rglob("*.png")) if pixels_of(path) < TOO_LARGE]
    if not paths or not (root / FONT).exists():
        sys.exit(f"make_shards: expected {CLIP_ART} and {FONT} in {root}: install openclipart-png and fonts-noto-color-emoji, or name "
                 "with --sources the folder they are unpacked in")
    return [(str(path.relative_to(root)), caption_of(path)) for path in paths] + emoji_sources(root)


def read_source(root, name):
    if len(name) == 1:
        drawn = Image.new("RGBA", (136, 128))
        ImageDraw.Draw(drawn).text((0, 0), name, font=font(root), embedded_color=True)
    else:
        drawn = Image.open(root / name).convert("RGBA")
        drawn.thumbnail((LARGEST, LARGEST), Image.BILINEAR)
    return drawn


def on_background(drawn, chance):
    """White as often as not, else any colour: what is transparent in clip art."""
    color = "white" if chance.random() < 0.5 else tuple(chance.randrange(256) for _ in range(3))
    below = Image.new("RGBA", drawn.size, color)
    return Image.alpha_composite(below, drawn).convert("RGB")


@functools.cache
def noise(grain):
    """Grey 128 and at most `grain` more or less, in each channel."""
    numbers = random.Random(0).randbytes(3 * 1024 * 1024)
    scaled = bytes(128 - grain + byte * (2 * grain + 1) // 256 for byte in range(256))
    return Image.frombytes("RGB", (1024, 1024), numbers.translate(scaled))


def with_grain(picture, grain, chance):
    left, top = (chance.randrange(1024 - side) for side in picture.size)
    return ImageChops.add(picture, noise(grain).crop((left, top, left + picture.width, top + picture.height)), 1, -128)


def variant(picture, chance):
    """A random part of a third to all of the picture, 256 to 512 pixels the longer side, a little brighter or darker."""
    part = chance.uniform(0.6, 1)
    width, height = (max(1.0, side * min(1, part * chance.uniform(0.85, 1.15))) for side in picture.size)
    left, top = chance.uniform(0, picture.width - width), chance.uniform(0, picture.height - height)
    longer = chance.randint(256, 512)
    size = [max(32, round(longer * side / max(width, height))) for side in (width, height)]
    made = picture.resize(size, Image.BICUBIC, (left, top, left + width, top + height), reducing_gap=2)
    return ImageEnhance.Brightness(made).enhance(chance.uniform(0.7, 1.2))


def jpeg(picture):
    file = io.BytesIO()
    picture.save(file, "JPEG", quality=90)
    return file.getvalue()


def records_of(root, sources, count, grain, chance):
    """(jpeg, caption, facts) of a shard's records, in a random order."""
    drawn = chance.choices(sources, k=-(-count // VARIANTS))
    made = []
    for name, caption in drawn:
        source = read_source(root, name)
        for _ in range(min(VARIANTS, count - len(made))):
            picture = with_grain(variant(on_background(source, chance), chance), grain, chance)
            made.append((jpeg(picture), caption, {"source": name, "width": picture.width, "height": picture.height}))
    chance.shuffle(made)
    return made


def add(shard, name, content):
    member = tarfile.TarInfo(name)
    member.size = len(content)
    shard.addfile(member, io.BytesIO(content))


def write_shard(root, sources, out, number, count, grain, seed):
    path = out / f"{number:03}.tar"
    if path.exists():
        return path.stat().st_size
    unfinished = path.with_suffix(".part")
    with tarfile.open(unfinished, "w", format=tarfile.USTAR_FORMAT) as shard:
        for i, (picture, caption, facts) in enumerate(records_of(root, sources, count, grain, random.Random(f"{seed} {number}"))):
            key = f"{number:03}{i:06}"
            add(shard, f"{key}.jpg", picture)
            add(shard, f"{key}.txt", caption.encode())
            add(shard, f"{key}.json", json.dumps({"key": key, "caption": caption, **facts}).encode())
    unfinished.rename(path)
    return path.stat().st_size


def keep_settings(out, settings):
    """Refuses a folder whose shards were made with other settings."""
    file = out / "made.json"
    if file.exists() and json.loads(file.read_text()) != settings:
        sys.exit(f"make_shards: {out} holds shards made with {file.read_text().strip()}; name another folder, or remove it")
    out.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(settings) + "\n")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=pathlib.Path)
    parser.add_argument("--shards", type=int, default=40)
    parser.add_argument("--records", type=int, default=10000, help="pictures in a shard")
    parser.add_argument("--grain", type=int, default=6, help="the most that noise adds to or takes from a channel, of 255")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--sources", type=pathlib.Path, default=pathlib.Path("/"), help="the folder that holds usr/share/openclipart/png")
    flags = parser.parse_args()
    sources = find_sources(flags.sources)
    keep_settings(flags.out, {"records": flags.records, "grain": flags.grain, "seed": flags.seed, "sources": len(sources)})
    began = time.monotonic()
    with concurrent.futures.ProcessPoolExecutor(flags.processes) as pool:
        jobs = [pool.submit(write_shard, flags.sources, sources, flags.out, number, flags.records, flags.grain, flags.seed)
                for number in range(flags.shards)]
        size = 0
        for number, job in enumerate(jobs):
            size += job.result()
            print(f"{number + 1} of {flags.shards} shards, {size / 1e6:.0f} MB, {time.monotonic() - began:.0f} s", flush=True)


if __name__ == "__main__":
    main()
