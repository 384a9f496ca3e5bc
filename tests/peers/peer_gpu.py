#!/usr/bin/env python3
"""Times a training step of ViT-B-32 on a GPU, vlalign's beside open_clip's under autocast, alternately, and prints medians.

    python3 tests/peers/peer_gpu.py [--build build] [--batch 1024] [--rounds 3] [--peak 989]

Run it with a Python that has torch with CUDA and open_clip_torch. --peak: the card's dense bf16 TFLOP/s by its data sheet
(H100 SXM and H200: 989).
"""
import argparse
import json
import pathlib
import statistics
import subprocess
import time

import open_clip
import torch
from peer_speed import needed_gflop

CAPTIONS = ["a photo of a small brown dog running on the beach near the water", "pick up the red cup on the table",
            "two people riding bicycles down a city street at night", "a red apple"]


def peer_step(batch, steps=10):
    """The median time of a step, in seconds; the first two are not counted."""
    torch.manual_seed(0)
    model = open_clip.create_model("ViT-B-32").cuda().train()
    loss_of = open_clip.ClipLoss()
    tokens = open_clip.get_tokenizer("ViT-B-32")([CAPTIONS[i % len(CAPTIONS)] for i in range(batch)]).cuda()
    images = torch.randn(batch, 3, 224, 224, device="cuda")
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-6, betas=(0.9, 0.98), eps=1e-6, weight_decay=0.2)
    times = []
    for _ in range(steps + 2):
        torch.cuda.synchronize()
        start = time.perf_counter()
        with torch.autocast("cuda", torch.bfloat16):
            features = model(images, tokens)
            loss = loss_of(*features[:3])
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        with torch.no_grad():
            model.logit_scale.clamp_(0, 4.6052)
        torch.cuda.synchronize()
        times.append(time.perf_counter() - start)
    torch.cuda.empty_cache()
    return statistics.median(times[2:])


def our_step(build, batch, steps=10):
    captions = build / "peer_gpu_captions.txt"
    captions.write_text("\n".join(CAPTIONS) + "\n")
    command = [build / "bin" / "vlalign", "bench", "step", "--model", "ViT-B-32", "--batch-size", batch, "--precision", "bf16",
               "--device", "cuda", "--steps", steps, "--captions", captions, "--json"]
    done = subprocess.run([str(word) for word in command], check=True, capture_output=True, text=True)
    return json.loads(done.stdout.strip().splitlines()[-1])["step_s"]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", type=pathlib.Path, default=pathlib.Path("build"))
    parser.add_argument("--batch", type=int, default=1024)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--peak", type=float, default=989)
    args = parser.parse_args()
    rounds = [(our_step(args.build, args.batch), peer_step(args.batch)) for _ in range(args.rounds)]
    ours, its = (statistics.median(column) for column in zip(*rounds))
    lengths = (open_clip.get_tokenizer("ViT-B-32")(CAPTIONS).argmax(1) + 1).tolist()
    needed = needed_gflop([lengths[i % len(lengths)] for i in range(args.batch)]) / 1e3
    print(f"{torch.cuda.get_device_name()}, ViT-B-32, bf16, batch {args.batch}, medians of {args.rounds}")
    for name, seconds in (("vlalign", ours), ("open_clip", its)):
        print(f"{name}: {1e3 * seconds:.1f} ms a step, {args.batch / seconds:.0f} pairs/s, "
              f"{100 * needed / seconds / args.peak:.1f}% of {args.peak:g} TFLOP/s for the {needed:.1f} TFLOP a step needs")
    print(f"vlalign is {its / ours:.2f} times as fast")


if __name__ == "__main__":
    main()
