#!/usr/bin/env python3
"""Reads a thousand pictures from every encoder at hand, a tenth of them damaged, with vlalign and with Pillow.

  python3 tests/tools/picture_torture.py [--build build] [--count 1000] [--seed 1] [--folder KEPT]

Every picture must be read or refused as Pillow reads or refuses it, with the same pixels: upright and on white, and as
convert("RGB") gives them (`--pixels-as peer`). JPEG and lossy WebP may differ by 2 of 255 in a channel: Pillow's wheel
brings other versions of their libraries. Prints how many pictures each encoder made, and each kind of difference with
its reason; exits with 1 if one has none. Needs Pillow and numpy; uses cjpeg, jpegtran, cwebp, gif2webp, ImageMagick,
ffmpeg and exiftool where they are on the PATH.
"""
import argparse
import collections
import io
import pathlib
import random
import shutil
import subprocess
import sys
import tempfile
import zlib

import numpy as np
from PIL import Image, ImageFile, PngImagePlugin

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "fixtures"))
import make_odd_images as odd
from pillow_pixels import as_peer, as_vlalign

TOLERANCE = 2


# ---- pictures ----

def scene(draw):
    width, height = draw.randint(1, 70), draw.randint(1, 70)
    x, y = np.meshgrid(np.arange(width), np.arange(height))
    a, b, c = (draw.randint(1, 20) for _ in range(3))
    smooth = np.stack([x * a, y * b, (x + y) * c], axis=-1) % 256
    noise = np.random.default_rng(draw.randint(0, 1 << 30)).integers(0, 256, (height, width, 3))
    pixels = np.where((x * 3 > width * 2)[..., None], noise, smooth).astype(np.uint8)
    alpha = ((x * 13 + y * 7) % 256 * draw.choice([0, 1, 1])).astype(np.uint8)
    return Image.fromarray(np.dstack([pixels, alpha]))


def exif_block(draw):
    """Orientations of every type, beside other tags, in both byte orders; sometimes none."""
    tag = odd.ORIENTATION
    value = draw.choice([1, 2, 3, 4, 5, 6, 7, 8, 0, 9])
    kind = draw.choice([3, 3, 3, 4, 6, 8, 9, 11, 12, 13, 16, 5, 10, 1, 7])
    entry = (tag, kind, [(value, 1)] if kind in (5, 10) else [value])
    others = [(0x010F, 2, [c.to_bytes(1, "big") for c in b"Maker\0"]), (0x0132, 2, [b"\0"])]
    return odd.exif(draw.choice([[entry], [others[0], entry], [entry, others[1]], others]), draw.choice("<>"))


def packet(draw):
    return odd.xmp(draw.randint(0, 9), element=draw.random() < 0.5)


def in_mode(picture, mode):
    if mode == "I;16":
        return Image.fromarray(np.asarray(picture.convert("L")).astype(np.uint16) * 257)
    if mode == "P":
        return picture.convert("RGB").quantize(37)
    return picture.convert("RGB").convert(mode) if mode in ("1", "L", "CMYK", "YCbCr") else picture.convert(mode)


def pillow_jpeg(draw):
    mode = draw.choice(["1", "L", "RGB", "RGB", "RGB", "CMYK", "YCbCr"])
    options = dict(quality=draw.randint(1, 100), progressive=draw.random() < 0.4, optimize=draw.random() < 0.3)
    if mode in ("RGB", "YCbCr"):
        options["subsampling"] = draw.choice([0, 1, 2])
        options["keep_rgb"] = mode == "RGB" and draw.random() < 0.2 and options["subsampling"] == 0
    if draw.random() < 0.3:
        options[draw.choice(["restart_marker_blocks", "restart_marker_rows"])] = draw.randint(1, 3)
    if draw.random() < 0.4:
        options["exif"] = b"Exif\0\0" + exif_block(draw)
    if draw.random() < 0.3:
        options["xmp"] = packet(draw)
    if draw.random() < 0.3:
        options["icc_profile"] = bytes(draw.randint(0, 200) * 3)
    if draw.random() < 0.3:
        options["comment"] = "a comment"
    return odd.encoded(in_mode(scene(draw), mode), "JPEG", **options), ".jpg"


def pillow_png(draw):
    mode = draw.choice(["1", "L", "LA", "P", "RGB", "RGBA", "I;16"])
    picture = in_mode(scene(draw), mode)
    info = PngImagePlugin.PngInfo()
    options = dict(pnginfo=info, compress_level=draw.randint(0, 9), optimize=draw.random() < 0.2)
    after = draw.random() < 0.5
    for name, wanted in (("exif", 0.3), ("profile", 0.15), ("xmp", 0.2), ("text", 0.3)):
        if draw.random() > wanted:
            continue
        if name == "exif":
            info.add(b"eXIf", exif_block(draw), after)
        elif name == "profile":
            zipped = draw.random() < 0.5
            text = odd.raw_profile(exif_block(draw))
            info.add(b"zTXt" if zipped else b"tEXt", b"Raw profile type exif\0" + (b"\0" + zlib.compress(text) if zipped else text), after)
        elif name == "xmp":
            info.add_itxt("XML:com.adobe.xmp", packet(draw), zip=draw.random() < 0.5)
        else:
            info.add_text("Comment", "words " * draw.randint(0, 30), zip=draw.random() < 0.5)
    if mode == "P" and draw.random() < 0.6:
        options["transparency"] = draw.choice([draw.randint(0, 36), bytes(draw.randint(0, 255) for _ in range(draw.randint(1, 37)))])
    elif mode in ("L", "1") and draw.random() < 0.4:
        options["transparency"] = draw.choice([0, 255])
    elif mode == "RGB" and draw.random() < 0.4:
        options["transparency"] = picture.getpixel((0, 0))
    if draw.random() < 0.2:
        options["icc_profile"] = bytes(100)
    return odd.encoded(picture, "PNG", **options), ".png"


def raw_png(draw):
    """What Pillow doesn't write: interlaced, 16 bits."""
    rgba = np.asarray(scene(draw))
    channels, color = draw.choice([(slice(0, 1), 0), (slice(0, 3), 2), ([0, 3], 4), (slice(0, 4), 6)])
    bits = draw.choice([8, 16])
    pixels = rgba[..., channels].astype(np.uint16)
    pixels = pixels * 256 + pixels[..., ::-1] if bits == 16 else pixels.astype(np.uint8)
    before = odd.chunk(b"gAMA", b"\0\0\xb1\x8f") if draw.random() < 0.3 else b""
    after = odd.chunk(b"eXIf", exif_block(draw)) if draw.random() < 0.3 else b""
    return odd.png(pixels, bits, color, before, after, draw.random() < 0.7), ".png"


def pillow_webp(draw):
    picture = in_mode(scene(draw), draw.choice(["RGB", "RGBA", "RGBA", "L"]))
    options = dict(lossless=draw.random() < 0.4, quality=draw.randint(0, 100), exact=draw.random() < 0.3, method=draw.randint(0, 4))
    if draw.random() < 0.3:
        options["exif"] = draw.choice([b"", b"Exif\0\0"]) + exif_block(draw)
    if draw.random() < 0.3:
        options["xmp"] = packet(draw)
    if draw.random() < 0.2:
        options["icc_profile"] = bytes(100)
    return odd.encoded(picture, "WEBP", **options), ".webp"


def moving(draw):
    first = in_mode(scene(draw), draw.choice(["RGB", "RGBA"]))
    more = [first.transpose(Image.Transpose.ROTATE_180), first]
    if draw.random() < 0.5:
        return odd.encoded(first, "PNG", save_all=True, append_images=more, default_image=draw.random() < 0.4), ".png"
    if draw.random() < 0.3:
        canvas = (first.width + 6 + draw.randint(0, 9), first.height + 4 + draw.randint(0, 9))
        return odd.animation(first, first.mode == "RGBA", 6, 4, canvas), ".webp"
    return odd.encoded(first, "WEBP", save_all=True, append_images=more, lossless=draw.random() < 0.5, minimize_size=draw.random() < 0.5), ".webp"


def odd_file(draw):
    """A file of odd_images/good, made anew."""
    path = draw.choice(sorted(p for p in (odd.HERE / "good").iterdir() if p.suffix != ".ppm"))
    return path.read_bytes(), path.suffix


# ---- other programs ----

class Program:
    """An encoder that reads a file and writes another."""

    def __init__(self, name, given, made, options):
        self.name, self.given, self.made, self.options = name, given, made, options

    def __call__(self, draw):
        """cjpeg and gif2webp leave nothing where options don't fit together: then another picture."""
        for _ in range(20):
            made, said = self.attempt(draw)
            if made:
                return made, self.made
        raise RuntimeError(f"{self.name} makes no {self.made}: {said}")

    def attempt(self, draw):
        with tempfile.TemporaryDirectory() as place:
            source, out = pathlib.Path(place) / f"in{self.given}", pathlib.Path(place) / f"out{self.made}"
            picture = scene(draw)
            if self.given == ".gif":
                picture.convert("RGB").quantize(20).save(source, save_all=True, append_images=[picture.convert("RGB").quantize(9)])
            elif self.given == ".jpg":
                exif = b"" if self.name == "exiftool" else b"Exif\0\0" + exif_block(draw)  # it refuses to mend odd ones
                source.write_bytes(odd.encoded(picture.convert("RGB"), "JPEG", quality=draw.randint(10, 100), exif=exif))
            else:
                (picture.convert("RGB") if self.given == ".ppm" else picture).save(source)
            command = [part.format(source=source, out=out) for part in [self.name, *self.options(draw)]]
            done = subprocess.run(command, capture_output=True, check=False)
            return out.read_bytes() if out.exists() else b"", done.stderr.decode(errors="replace")[-300:]


def programs():
    def maybe(draw, *options, chance=0.4):
        return list(options) if draw.random() < chance else []

    cjpeg = lambda d: ["-quality", str(d.randint(1, 100)), *maybe(d, "-progressive"), *maybe(d, "-optimize"), *maybe(d, "-arithmetic", chance=0.15),
                       *maybe(d, "-restart", "1"), *maybe(d, "-grayscale", chance=0.2), *maybe(d, "-sample", d.choice(["1x1", "2x1", "1x2", "2x2", "4x1"])),
                       *maybe(d, "-smooth", "20", chance=0.2), *maybe(d, "-dct", "fast", chance=0.2), "-outfile", "{out}", "{source}"]
    jpegtran = lambda d: ["-copy", "all", *maybe(d, "-progressive"), *maybe(d, "-optimize"), *maybe(d, "-restart", "2B"), *maybe(d, "-grayscale", chance=0.2),
                          *maybe(d, "-rotate", "90", chance=0.3), "-outfile", "{out}", "{source}"]
    cwebp = lambda d: ["-quiet", *maybe(d, "-lossless"), *maybe(d, "-exact"), *maybe(d, "-alpha_q", "30"), *maybe(d, "-noalpha", chance=0.2),
                       *maybe(d, "-jpeg_like"), *maybe(d, "-sharp_yuv", chance=0.2), "-q", str(d.randint(0, 100)), "{source}", "-o", "{out}"]
    gif2webp = lambda d: ["-quiet", *maybe(d, "-lossy"), *maybe(d, "-mixed", chance=0.2), *maybe(d, "-min_size"), "{source}", "-o", "{out}"]
    magick = lambda d: ["{source}", *maybe(d, "-interlace", "Line"), *maybe(d, "-colorspace", d.choice(["Gray", "CMYK"]), chance=0.2),
                        *maybe(d, "-depth", d.choice(["1", "4", "16"]), chance=0.3), *maybe(d, "-orient", d.choice(["RightTop", "BottomLeft"])),
                        *maybe(d, "-comment", "made so"), "-quality", str(d.randint(1, 100)), "{out}"]
    ffmpeg = lambda d: ["-loglevel", "error", "-y", "-i", "{source}", "-q:v", str(d.randint(2, 31)), "-frames:v", "1", "{out}"]
    exiftool = lambda d: ["-q", "-n", f"-Orientation={d.randint(1, 8)}", *maybe(d, f"-XMP-tiff:Orientation={d.randint(1, 8)}"), "-o", "{out}", "{source}"]
    known = [("cjpeg", ".ppm", [".jpg"], cjpeg), ("jpegtran", ".jpg", [".jpg"], jpegtran), ("cwebp", ".png", [".webp"], cwebp),
             ("gif2webp", ".gif", [".webp"], gif2webp), ("convert-im6.q16", ".png", [".jpg", ".png", ".webp"], magick),
             ("ffmpeg", ".png", [".jpg", ".png"], ffmpeg), ("exiftool", ".jpg", [".jpg"], exiftool), ("exiftool", ".png", [".png"], exiftool)]
    return {f"{name} {end}": Program(name, given, end, options) for name, given, ends, options in known if shutil.which(name) for end in ends}


# ---- damage ----

def damaged(data, draw):
    data = bytearray(data)
    kind = draw.choice(["flip", "flip", "cut", "insert", "zero"])
    at = draw.randrange(len(data))
    if kind == "cut":
        return bytes(data[:at]), kind
    if kind == "insert":
        data[at:at] = bytes(draw.randrange(256) for _ in range(draw.randint(1, 9)))
    if kind == "zero":
        data[at : at + 8] = bytes(len(data[at : at + 8]))
    for _ in range(draw.randint(1, 3) if kind == "flip" else 0):
        data[draw.randrange(len(data))] ^= 1 << draw.randrange(8)
    return bytes(data), kind


# ---- comparison ----

def by_pillow(decode, data):
    try:
        return decode(data), ""
    except Exception as error:  # it leaves with many kinds
        return None, f"{type(error).__name__}: {error}"


def by_vlalign(program, who, files):
    """(pixels or None, message) of each file."""
    names = "".join(f"{file}\n" for file in files)
    out = io.BytesIO(subprocess.run([program, who], input=names.encode(), stdout=subprocess.PIPE, check=True).stdout)
    for _ in files:
        width, height, *fault = out.readline().decode(errors="replace").rstrip("\n").split(" ", 2)
        if int(width) == 0:
            yield None, fault[0]
            continue
        yield np.frombuffer(out.read(3 * int(width) * int(height)), np.uint8).reshape(int(height), int(width), 3), ""


# A difference's beginning, and what is right about it. Only damaged files may differ.
REASONS = [
    ("refused by vlalign alone: broken JPEG file: Corrupt JPEG data", "libjpeg made pixels up, and Pillow doesn't look at its warnings"),
    ("refused by vlalign alone: broken JPEG file: Premature end", "libjpeg made pixels up at the file's end"),
    ("refused by vlalign alone: broken PNG file: the file ends too early", "the end of zlib's data is cut off; Pillow had rows enough"),
    ("refused by vlalign alone: broken PNG file: IDAT: CRC error", "damaged pixels: Pillow doesn't look at the chunks' sums"),
    ("refused by vlalign alone: broken PNG file: Not enough image data", "damaged pixels: zlib's data go on behind their chunk"),
    ("refused by vlalign alone: broken PNG file: PNG unsigned integer", "damaged pixels: they end where no chunk follows"),
    ("refused by vlalign alone: broken PNG file: [", "damaged pixels: they end where no chunk follows"),
    ("refused by Pillow alone: SyntaxError: not a TIFF file", "damaged EXIF stops exif_transpose; no pixel is lost"),
    ("refused by Pillow alone: ValueError: non-hexadecimal", "damaged EXIF stops exif_transpose; no pixel is lost"),
    ("refused by Pillow alone: OSError: Truncated File Read", "a chunk behind a PNG's last pixel is cut, or its length damaged; no pixel is lost"),
    ("refused by Pillow alone: OSError: broken data stream", "the marker behind a JPEG's last pixel is damaged; no pixel is lost"),
    ("another size", "a damaged orientation: libpng ends a text at a NUL, Pillow reads on"),
]


def kind_of(ours, fault, theirs, complaint, exact):
    """Empty where they agree."""
    if ours is None and theirs is None:
        return ""
    if theirs is None:
        return f"refused by Pillow alone: {complaint[:90]}"
    if ours is None:
        return f"refused by vlalign alone: {fault.split(': ', 1)[1][:90]}"
    theirs = np.asarray(theirs)
    if theirs.shape != ours.shape:
        return f"another size: {ours.shape[1]}x{ours.shape[0]}, Pillow {theirs.shape[1]}x{theirs.shape[0]}"
    largest = int(np.abs(theirs.astype(int) - ours).max())
    return "" if largest <= (0 if exact else TOLERANCE) else f"other pixels, by {largest}"


def make(folder, count, draw):
    """[(file, what made it, how it was damaged)]"""
    encoders = {"Pillow JPEG": pillow_jpeg, "Pillow PNG": pillow_png, "PNG by hand": raw_png, "Pillow WebP": pillow_webp,
                "animations": moving, "odd_images": odd_file, **programs()}  # fmt: skip
    made = []
    for number in range(count):
        name = list(encoders)[number % len(encoders)]
        data, ending = encoders[name](draw)
        how = ""
        if number % 10 == 9 - number // 10 % 10:  # all encoders get their share
            data, how = damaged(data, draw)
        file = folder / f"{number:05}{ending}"
        file.write_bytes(data)
        made.append((file, name, how))
    return made


def compare(program, made):
    differences = collections.defaultdict(list)
    read = collections.Counter()
    for who, decode in (("vlalign", as_vlalign), ("peer", as_peer)):
        for (file, name, how), (ours, fault) in zip(made, by_vlalign(program, who, [file for file, *_ in made])):
            theirs, complaint = by_pillow(decode, file.read_bytes())
            lossless = file.suffix == ".png"
            kind = kind_of(ours, fault, theirs, complaint, lossless)
            read[who, "damaged" if how else "good", "refused by both" if ours is None and theirs is None else "differ" if kind else "same pixels"] += 1
            if kind:
                differences[kind, bool(how)].append(f"{file.name} ({name}{', ' + how if how else ''}, as {who})")
    return differences, read


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", default="build")
    parser.add_argument("--count", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--folder", type=pathlib.Path, help="where the pictures are kept; nowhere without it")
    flags = parser.parse_args()
    ImageFile.LOAD_TRUNCATED_IMAGES = False
    with tempfile.TemporaryDirectory() as place:
        folder = flags.folder or pathlib.Path(place)
        folder.mkdir(parents=True, exist_ok=True)
        made = make(folder, flags.count, random.Random(flags.seed))
        differences, read = compare(pathlib.Path(flags.build) / "bin/vlalign_picture_pixels", made)
    for name, number in sorted(collections.Counter(name for _, name, _ in made).items()):
        print(f"{number:5} {name}")
    for key, number in sorted(read.items()):
        print(f"{number:5} {', '.join(key)}")
    unexplained = 0
    for (kind, is_damaged), cases in sorted(differences.items()):
        reason = next((why for beginning, why in REASONS if is_damaged and kind.startswith(beginning)), None)
        unexplained += reason is None
        print(f"{len(cases):5} {kind}\n      {reason or 'NO REASON KNOWN'}; {', '.join(cases[:3])}")
    print(f"{len(made)} pictures, {sum(map(len, differences.values()))} differences, {unexplained} kinds without a reason")
    sys.exit(1 if unexplained else 0)


if __name__ == "__main__":
    main()
