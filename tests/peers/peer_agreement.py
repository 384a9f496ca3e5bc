#!/usr/bin/env python3
"""Full-size agreement with open_clip and transformers, by hand (gigabytes, minutes a model):

    python tests/peers/peer_agreement.py BUILD embed ViT-B-32 RN50 timm-resnet50 hf-clip hf-siglip hf-align ...
    python tests/peers/peer_agreement.py BUILD train ViT-B-32 RN50
    python tests/peers/peer_agreement.py BUILD folder DIR...      DIR as an exporter of open_clip models leaves it:
                                                            open_clip_config.json, weights, images/, captions.txt, expected.safetensors

`embed`: the peer writes a randomly initialised model; from its pixels and tokens we give embeddings; what we save (in
both layouts, where the family has them) must hold every tensor bit for bit and give the peer the same embeddings.
`train`: 50 steps of fp32 AdamW at learning rate 1e-5 here and in a plain open_clip loop, batch norm in training mode.
`folder`: preprocessed pixels, token ids and embeddings by `vlalign embed`.
Prints one line a model with the largest differences. Needs open_clip_torch 3.3, or its main branch for the NaFlex and modern text towers, transformers 5.23 and timm."""

import base64
import json
import logging
import pathlib
import subprocess
import sys
import tempfile
import warnings

warnings.filterwarnings("ignore")
logging.disable(logging.WARNING)
import numpy as np
import torch
from safetensors.torch import load_file, save_file

N = 4
STEPS, BATCH = 50, 4


def disturb(model):
    """A fresh model is close to symmetric: every parameter gets a value of its own."""
    torch.manual_seed(1)
    with torch.no_grad():
        for name, p in model.named_parameters():
            if p.requires_grad and name not in ("logit_scale", "logit_bias", "temperature"):
                p.add_(torch.randn_like(p) * 0.02)
        for name, b in model.named_buffers():
            if name.endswith("running_mean"): b.add_(torch.randn_like(b) * 0.05)
            if name.endswith("running_var"): b.mul_(1 + 0.2 * torch.rand_like(b))
    return model.eval()


def texts(length, vocabulary, start, end, pad):
    ids = torch.randint(3, min(vocabulary, 30000) - 5, (N, length), generator=torch.Generator().manual_seed(2))
    for row, last in enumerate([length - 1, 5, 12, 9]):
        ids[row, 0], ids[row, min(last, length - 1)], ids[row, last + 1:] = start, end, pad
    return ids


def unigram(folder):
    import sentencepiece as spm
    lines = folder / "lines.txt"
    lines.write_text("\n".join(f"a small picture of {n} things number {n * 7}" for n in range(500)))
    spm.SentencePieceTrainer.train(input=str(lines), model_prefix=str(folder / "spiece"), vocab_size=200, pad_id=-1, bos_id=-1,
                                   eos_id=1, unk_id=2, minloglevel=2)
    lines.unlink(), (folder / "spiece.vocab").unlink()
    (folder / "tokenizer_config.json").write_text(json.dumps(dict(tokenizer_class="SiglipTokenizer", pad_token="</s>", eos_token="</s>", unk_token="<unk>")))


def open_clip_model(name, folder):
    import open_clip
    torch.manual_seed(0)
    if name.startswith("timm-"):
        config = dict(embed_dim=512, vision_cfg=dict(timm_model_name=name[5:], timm_pool="avg", timm_proj="linear", image_size=224),
                      text_cfg=dict(context_length=77, vocab_size=49408, width=512, heads=8, layers=12))
        model = disturb(open_clip.model.CLIP(**config))
    else:
        config = open_clip.get_model_config(name)
        drops = "timm_drop_path" in config["vision_cfg"]  # by draws that nobody can compare
        if drops: config["vision_cfg"]["timm_drop_path"] = 0
        model = disturb(open_clip.create_model(name, precision="fp32", **(dict(vision_cfg=config["vision_cfg"]) if drops else {})))
    save_file({k: v.contiguous() for k, v in model.state_dict().items()}, str(folder / "open_clip_model.safetensors"))
    size = config["vision_cfg"]["image_size"]
    preprocess = dict(size=[size, size], mean=[.5, .5, .5], std=[.5, .5, .5], interpolation="bicubic", resize_mode="squash")
    (folder / "open_clip_config.json").write_text(json.dumps(dict(model_cfg=config, preprocess_cfg=preprocess)))
    text = config["text_cfg"]
    if "SigLIP" in name: unigram(folder)
    if "tiktoken_name" in text:  # any of r50k_base's size
        words = [bytes([a]) for a in range(256)] + [bytes([a, b]) for a in range(256) for b in range(256)]
        lines = [base64.b64encode(word).decode() + f" {i}" for i, word in enumerate(words[:50256])]
        (folder / f"{text['tiktoken_name']}.tiktoken").write_text("\n".join(lines) + "\n")
    tokens = texts(text["context_length"], text["vocab_size"], 49406 if text["vocab_size"] == 49408 else 3,
                   49407 if text["vocab_size"] == 49408 else 1, 0 if text["vocab_size"] == 49408 else 1)
    return model, size, tokens


def hugging_face_model(name, folder):
    from transformers import AlignConfig, AlignModel, CLIPConfig, CLIPModel, SiglipConfig, SiglipModel
    torch.manual_seed(0)
    if name == "hf-clip":
        config = CLIPConfig()
        model, size, tokens = CLIPModel(config), 224, texts(77, 49408, 49406, 49407, 49407)
        processor = dict(size=dict(shortest_edge=224), crop_size=dict(height=224, width=224), image_processor_type="CLIPImageProcessor")
    elif name == "hf-siglip":
        model, size, tokens = SiglipModel(SiglipConfig()), 224, texts(64, 32000, 3, 1, 1)
        processor = dict(size=dict(height=224, width=224), image_processor_type="SiglipImageProcessor", image_mean=[.5] * 3, image_std=[.5] * 3)
        unigram(folder)
    else:
        config = AlignConfig(vision_config=dict(image_size=289))
        model, size, tokens = AlignModel(config), 289, texts(64, 30522, 101, 102, 0)
        processor = dict(size=dict(height=346, width=346), do_center_crop=True, crop_size=dict(height=289, width=289),
                         image_processor_type="EfficientNetImageProcessor", image_mean=[.5] * 3, image_std=[.5] * 3)
        (folder / "vocab.txt").write_text("\n".join(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"] + [chr(97 + i) for i in range(26)]))
    if name == "hf-siglip":
        with torch.no_grad(): model.logit_scale.fill_(2.0), model.logit_bias.fill_(-9.0)
    disturb(model).save_pretrained(folder)
    (folder / "preprocessor_config.json").write_text(json.dumps(processor))
    return model, size, tokens


def patches_of(pixels, side):
    count, rows = len(pixels), pixels.shape[2] // side
    return pixels.view(count, 3, rows, side, rows, side).permute(0, 2, 4, 3, 5, 1).reshape(count, rows * rows, -1), count, rows


def as_taken(model, pixels):
    """NaFlex towers take patches, row by row, with their places."""
    trunk = getattr(getattr(model, "visual", None), "trunk", None)
    if "NaFlex" not in type(trunk).__name__: return pixels
    patches, count, rows = patches_of(pixels, trunk.embeds.patch_size[0])
    places = torch.stack(torch.meshgrid(torch.arange(rows), torch.arange(rows), indexing="ij"), -1).view(1, -1, 2).expand(count, -1, -1)
    return dict(patches=patches, patch_coord=places, patch_valid=torch.ones(count, rows * rows, dtype=torch.bool))


def embeddings(model, pixels, tokens):
    with torch.no_grad():
        if hasattr(model, "encode_image"):
            return model.encode_image(as_taken(model, pixels), normalize=True), model.encode_text(tokens, normalize=True)
        more = dict(attention_mask=(tokens != 0).long()) if "Align" in type(model).__name__ else {}
        if model.config.model_type == "siglip2":
            pixels, count, rows = patches_of(pixels, model.config.vision_config.patch_size)
            more = dict(pixel_attention_mask=torch.ones(count, rows * rows), spatial_shapes=torch.full((count, 2), rows))
        out = model(pixel_values=pixels, input_ids=tokens, **more)
        return out.image_embeds, out.text_embeds


def reloaded(kind, folder):
    if kind == "open_clip":
        import open_clip
        return open_clip.create_model("local-dir:" + str(folder), precision="fp32").eval()
    from transformers import AutoModel
    return AutoModel.from_pretrained(folder).eval()


def differences(a, b):
    return max((x - y).abs().max().item() for x, y in zip(a, b))


def weights(folder):
    found = {}
    for file in folder.glob("*.safetensors"): found |= load_file(str(file))
    return found


def run(program, *arguments):
    subprocess.run([str(program), *map(str, arguments)], check=True)


def embed(build, name):
    with tempfile.TemporaryDirectory() as place:
        place = pathlib.Path(place)
        folder = place / "peer"
        folder.mkdir()
        model, size, tokens = (hugging_face_model if name.startswith("hf-") else open_clip_model)(name, folder)
        pixels = torch.randn(N, 3, size, size, generator=torch.Generator().manual_seed(3))
        theirs = embeddings(model, pixels, tokens)
        save_file(dict(pixels=pixels, tokens=tokens), str(place / "in.safetensors"))
        own = "hf" if name.startswith("hf-") else "open_clip"
        result = {"model": name}
        both = name.startswith("ViT-") or name == "hf-clip"
        for layout in [own] + ([{"hf": "open_clip", "open_clip": "hf"}[own]] if both else []):
            run(build / "bin/vlalign_run_tensors", "embed", folder, place / "in.safetensors", place / "out.safetensors", place / layout, layout)
            out = load_file(str(place / "out.safetensors"))
            result["embeddings"] = differences((out["image_embedding"], out["text_embedding"]), theirs)
            if layout == own:
                before, after = weights(folder), weights(place / layout)
                result["bit_equal"] = before.keys() == after.keys() and all(torch.equal(before[k], after[k]) for k in before)
            result[f"{layout}_loads"] = differences(embeddings(reloaded(layout, place / layout), pixels, tokens), theirs)
        print(json.dumps(result), flush=True)


def train(build, name, make=lambda name, folder: open_clip_model(name, folder)[:2], start=49406, end=49407, pad=0,
          reload=lambda folder: reloaded("open_clip", folder)):
    """make, reload: the peer's model and the size of its pictures; the model of a folder."""
    import open_clip
    with tempfile.TemporaryDirectory() as place:
        place = pathlib.Path(place)
        folder = place / "peer"
        folder.mkdir()
        model, size = make(name, folder)
        generator = torch.Generator().manual_seed(4)
        pixels = torch.randn(STEPS, BATCH, 3, size, size, generator=generator)
        tokens = torch.full((STEPS, BATCH, model.context_length or 20), pad, dtype=torch.long)
        tokens[:, :, 0] = start
        tokens[:, :, 1:9] = torch.randint(5, 30000, (STEPS, BATCH, 8), generator=generator)
        tokens[:, :, 9] = end
        save_file(dict(pixels=pixels, tokens=tokens), str(place / "in.safetensors"))
        run(build / "bin/vlalign_run_tensors", "train", folder, place / "in.safetensors", place / "out.safetensors", place / "trained")
        ours = load_file(str(place / "out.safetensors"))["losses"].tolist()
        model.train()
        plain = [p for n, p in model.named_parameters() if p.ndim < 2 or "bn" in n or "ln" in n or "bias" in n or "logit_scale" in n]
        others = [p for n, p in model.named_parameters() if not (p.ndim < 2 or "bn" in n or "ln" in n or "bias" in n or "logit_scale" in n)]
        optimizer = torch.optim.AdamW([dict(params=plain, weight_decay=0.0), dict(params=others, weight_decay=0.2)], lr=1e-5, betas=(0.9, 0.98), eps=1e-6)
        loss_of, theirs = open_clip.ClipLoss(), []
        for step in range(STEPS):
            loss = loss_of(*list(model(as_taken(model, pixels[step]), tokens[step]))[:3])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            with torch.no_grad(): model.logit_scale.clamp_(0, np.log(100))
            theirs.append(loss.item())
        trained = reload(place / "trained")
        embedded = place / "embedded.safetensors"
        save_file(dict(pixels=pixels[0].contiguous(), tokens=tokens[0].contiguous()), str(place / "in.safetensors"))
        run(build / "bin/vlalign_run_tensors", "embed", place / "trained", place / "in.safetensors", embedded)
        out = load_file(str(embedded))
        print(json.dumps({"model": name, "steps": STEPS, "largest_loss_difference": max(abs(a - b) for a, b in zip(ours, theirs)),
                          "first_loss": theirs[0], "last_loss": theirs[-1],
                          "trained_here_loaded_there": differences(embeddings(trained, pixels[0], tokens[0]), (out["image_embedding"], out["text_embedding"]))}), flush=True)


def folder(build, path):
    path = pathlib.Path(path)
    captions = (path / "captions.txt").read_text(encoding="utf-8").splitlines()
    images = sorted((path / "images").iterdir())
    with tempfile.TemporaryDirectory() as place:
        table = pathlib.Path(place) / "data.jsonl"
        table.write_text("".join(json.dumps(dict(file_name=str(i), text=c)) + "\n" for i, c in zip(images, captions)))
        out = pathlib.Path(place) / "out.safetensors"
        run(build / "bin/vlalign", "embed", "--model", path, "--data", table, "--out", out, "--pixels")
        ours, theirs = load_file(str(out)), load_file(str(path / "expected.safetensors"))
        how = json.loads((path / "open_clip_config.json").read_text()).get("preprocess_cfg", {})
        std = torch.tensor(how.get("std", [0.26862954, 0.26130258, 0.27577711])).view(1, 3, 1, 1)
        pixels = (ours["pixels"] - theirs["pixels"]).abs() * std * 255
        length = ours["tokens"].shape[1]
        print(json.dumps({"folder": str(path), "pixels_largest_of_255": round(pixels.max().item(), 3), "pixels_mean_of_255": round(pixels.mean().item(), 4),
                          "tokens_equal": bool((ours["tokens"] == theirs["tokens"][:, :length]).all() and (theirs["tokens"][:, length:] == 0).all()),
                          "embeddings": differences((ours["image_embedding"], ours["text_embedding"]), (theirs["image_embedding"], theirs["text_embedding"]))}), flush=True)


if __name__ == "__main__":
    build, what, names = pathlib.Path(sys.argv[1]), sys.argv[2], sys.argv[3:]
    for name in names:
        {"embed": embed, "train": train, "folder": folder}[what](build, name)
