#!/usr/bin/env python3
"""Full-size agreement of transformers' image towers with the peer, by hand (gigabytes, minutes a tower):

    python tests/peers/image_tower_agreement.py BUILD dinov2-base dinov2-giant dinov2-registers-large dinov3-base \\
        dinov3-large dinov3-convnext-tiny dinov3-convnext-large clip-large siglip-base vit-base

The peer writes a randomly initialised tower of the published sizes. From its pixels come the pooled vector, the patches and
two layers' outputs here; what ImageTower writes must hold every tensor bit for bit and give the peer the same. Prints one
line a tower. Needs transformers 5.24."""

import json
import pathlib
import subprocess
import sys
import tempfile

import torch
from safetensors.torch import load_file, save_file

from peer_agreement import disturb, weights

N = 2


def made(name):
    import transformers as t
    vit = dict(base=dict(hidden_size=768, num_hidden_layers=12, num_attention_heads=12),
               large=dict(hidden_size=1024, num_hidden_layers=24, num_attention_heads=16))
    mlp = lambda sizes: sizes | dict(intermediate_size=4 * sizes["hidden_size"])
    giant = dict(hidden_size=1536, num_hidden_layers=40, num_attention_heads=24, use_swiglu_ffn=True)
    convnext = dict(tiny=dict(depths=[3, 3, 9, 3], hidden_sizes=[96, 192, 384, 768]),
                    large=dict(depths=[3, 3, 27, 3], hidden_sizes=[192, 384, 768, 1536]))
    kind, size = name.rsplit("-", 1)
    if kind == "dinov2": return t.Dinov2Model(t.Dinov2Config(patch_size=14, image_size=518, **(vit | dict(giant=giant))[size]))
    if kind == "dinov2-registers": return t.Dinov2WithRegistersModel(t.Dinov2WithRegistersConfig(patch_size=14, image_size=518, **vit[size]))
    if kind == "dinov3": return t.DINOv3ViTModel(t.DINOv3ViTConfig(num_register_tokens=4, **mlp(vit[size])))
    if kind == "dinov3-convnext": return t.DINOv3ConvNextModel(t.DINOv3ConvNextConfig(**convnext[size]))
    if kind == "clip": return t.CLIPVisionModel(t.CLIPVisionConfig(patch_size=14, **mlp(vit[size])))
    if kind == "siglip": return t.SiglipVisionModel(t.SiglipVisionConfig(**mlp(vit[size])))
    if kind == "vit": return t.ViTModel(t.ViTConfig(**mlp(vit[size])))
    raise SystemExit(f"{name}: no such tower")


@torch.no_grad()
def figures(model, pixels):
    out = model(pixel_values=pixels, output_hidden_states=True)
    last, hidden = out.last_hidden_state, out.hidden_states
    if model.config.model_type == "clip_vision_model": last = getattr(model, "vision_model", model).post_layernorm(last)
    pooled = last[:, 0] if model.config.model_type == "vit" else out.pooler_output  # ViTModel's has a layer of its own
    return last, pooled, hidden[1], hidden[-2]


def run(build, name):
    with tempfile.TemporaryDirectory() as place:
        place = pathlib.Path(place)
        torch.manual_seed(0)
        model = disturb(made(name))
        model.save_pretrained(place / "peer")
        processor = dict(image_processor_type="ViTImageProcessor", size=dict(height=224, width=224), image_mean=[.5] * 3, image_std=[.5] * 3)
        (place / "peer/preprocessor_config.json").write_text(json.dumps(processor))
        pixels = torch.randn(N, 3, 224, 224, generator=torch.Generator().manual_seed(3))
        last, pooled, first, before = figures(model, pixels)
        save_file(dict(pixels=pixels), str(place / "in.safetensors"))
        subprocess.run([build / "bin/vlalign_run_tensors", "tower", place / "peer", place / "in.safetensors", place / "out.safetensors", place / "saved"], check=True)
        ours = load_file(str(place / "out.safetensors"))
        difference = lambda a, b: (a - b).abs().max().item() if a.shape == b.shape else f"{list(a.shape)} {list(b.shape)}"
        result = dict(tower=name, pooled=difference(ours["pooled"], pooled), hidden_0=difference(ours["hidden.0"], first), hidden_last_but_one=difference(ours["hidden.1"], before),
                      largest_hidden=before.abs().max().item())
        if "tokens" in ours: result["tokens"] = difference(ours["tokens"], last[:, -ours["tokens"].shape[1]:])
        mine, theirs = weights(place / "saved"), weights(place / "peer")
        known = lambda key: [k for k in theirs if k.endswith(key) or key.endswith(k)]
        moved = lambda key: "registers" in name and key in ("embeddings.cls_token", "embeddings.position_embeddings")
        result["bit_equal"] = all(moved(k) or any(torch.equal(v, theirs[t]) for t in known(k)) for k, v in mine.items())
        again = type(model).from_pretrained(place / "saved").eval()
        result["saved_loads_there"] = max(difference(a, b) for a, b in zip(figures(again, pixels), (last, pooled, first, before)))
        print(json.dumps(result), flush=True)


if __name__ == "__main__":
    for tower in sys.argv[2:]:
        run(pathlib.Path(sys.argv[1]), tower)
