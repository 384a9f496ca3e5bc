#!/usr/bin/env python3
"""Full-size agreement of transformers' text towers with the peers, by hand (gigabytes, minutes a model):

    python tests/peers/text_tower_agreement.py BUILD roberta-ViT-B-32 xlm-roberta-base-ViT-B-32 mt5-base-ViT-B-32 \
        nllb-clip-base hf-chinese-clip hf-metaclip-2
    python tests/peers/text_tower_agreement.py BUILD --train mt5-base-ViT-B-32

The peer writes a randomly initialised model of the published sizes, without a network: open_clip's CustomTextCLIP around a
tower that transformers builds of a config, ChineseCLIPModel, MetaClip2Model of ViT-B/32's sizes. From its pixels and tokens
come embeddings, the text's tokens and the first block's output here; what is saved must hold every tensor bit for bit and
give the peer the same embeddings. `--train`: 50 steps as peer_agreement.py's, without dropout. Prints one line a model. Needs open_clip_torch 3.3 and transformers 5.24."""

import json
import pathlib
import resource
import subprocess
import sys
import tempfile

import torch
from safetensors.torch import load_file, save_file

from peer_agreement import differences, disturb, train, weights

N, LENGTH = 3, 20


def config_of(name):
    from transformers import M2M100Config, MT5Config, RobertaConfig, XLMRobertaConfig
    roberta = dict(max_position_embeddings=514, type_vocab_size=1, layer_norm_eps=1e-5)
    return {"roberta-base": lambda: RobertaConfig(vocab_size=50265, **roberta),
            "xlm-roberta-base": lambda: XLMRobertaConfig(vocab_size=250002, **roberta),
            "google/mt5-base": lambda: MT5Config(d_model=768, d_ff=2048, num_layers=12, num_heads=12, num_decoder_layers=1),
            "facebook/nllb-200-distilled-600M": lambda: M2M100Config(vocab_size=256206, decoder_layers=1)}[name]()


def texts(vocabulary, start, end, pad):
    ids = torch.randint(5, vocabulary - 1, (N, LENGTH), generator=torch.Generator().manual_seed(2))
    for row, last in enumerate([LENGTH - 1, 5, 12]):
        ids[row, 0], ids[row, last], ids[row, last + 1:] = start, end, pad
    return ids


def write_tokenizer(folder, pad):
    """Any whose padding is the tower's, and whose texts end with token 2 where padding is token 1."""
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"] if pad == 0 else ["[CLS]", "[PAD]", "[SEP]", "[UNK]", "[MASK]"]
    (folder / "vocab.txt").write_text("\n".join(special + [chr(97 + i) for i in range(26)]))
    (folder / "tokenizer_config.json").write_text(json.dumps(dict(tokenizer_class="BertTokenizer")))


def open_clip_model(name, folder, drops=True):
    import open_clip
    model_cfg = open_clip.get_model_config(name)
    text = model_cfg["text_cfg"]
    config = config_of(text["hf_model_name"])
    if not drops:
        for key in ("dropout_rate", "dropout", "attention_dropout", "hidden_dropout_prob", "attention_probs_dropout_prob"):
            if hasattr(config, key): setattr(config, key, 0.0)
    sizes = folder.parent / "sizes"
    config.save_pretrained(sizes)
    local = text | dict(hf_model_name=str(sizes), hf_model_pretrained=False)
    custom = {k: v for k, v in model_cfg.items() if k in ("embed_dim", "vision_cfg", "quick_gelu", "init_logit_bias")}
    torch.manual_seed(0)
    model = disturb(open_clip.model.CustomTextCLIP(**custom | dict(text_cfg=local)))
    save_file({k: v.contiguous() for k, v in model.state_dict().items()}, str(folder / "open_clip_model.safetensors"))
    size = model_cfg["vision_cfg"]["image_size"]
    preprocess = dict(size=[size, size], mean=[.5, .5, .5], std=[.5, .5, .5], interpolation="bicubic", resize_mode="squash")
    more = {} if drops else dict(hf_text_config=config.to_dict())
    (folder / "open_clip_config.json").write_text(json.dumps(dict(model_cfg=model_cfg, preprocess_cfg=preprocess) | more))
    write_tokenizer(folder, config.pad_token_id)
    return model, size, texts(config.vocab_size, 0 if config.pad_token_id else 2, 2, config.pad_token_id), config.pad_token_id


def hugging_face_model(name, folder):
    from transformers import ChineseCLIPConfig, ChineseCLIPModel, MetaClip2Config, MetaClip2Model
    torch.manual_seed(0)
    chinese = name == "hf-chinese-clip"
    if chinese:
        model = ChineseCLIPModel(ChineseCLIPConfig(text_config=dict(vocab_size=21128), vision_config=dict(patch_size=16)))
    else:
        model = MetaClip2Model(MetaClip2Config(text_config=dict(vocab_size=901629, bos_token_id=0, eos_token_id=2, pad_token_id=1)))
    disturb(model).save_pretrained(folder)
    processor = dict(size=dict(shortest_edge=224), crop_size=dict(height=224, width=224), image_processor_type="ChineseCLIPImageProcessor" if chinese else "CLIPImageProcessor")
    (folder / "preprocessor_config.json").write_text(json.dumps(processor))
    write_tokenizer(folder, 0 if chinese else 1)
    return model, 224, texts(21128, 101, 102, 0) if chinese else texts(901629, 0, 2, 1), 0 if chinese else 1


@torch.no_grad()
def figures(model, pixels, tokens, pad):
    seen = (tokens != pad).long()
    if hasattr(model, "encode_image"):
        out = model.text.transformer(input_ids=tokens, attention_mask=seen, output_hidden_states=True)
        image, text = model.encode_image(pixels, normalize=True), model.encode_text(tokens, normalize=True)
    else:
        more = dict(attention_mask=seen) if pad == 0 else {}
        whole = model(pixel_values=pixels, input_ids=tokens, **more)
        image, text = whole.image_embeds, whole.text_embeds
        out = model.text_model(input_ids=tokens, output_hidden_states=True, **more)
    return dict(image_embedding=image, text_embedding=text, text_tokens=out.last_hidden_state * seen[..., None],
                **{"text_hidden.0": out.hidden_states[1] * seen[..., None]})


def reload(name, folder):
    if name.startswith("hf-"):
        from transformers import AutoModel
        return AutoModel.from_pretrained(folder).eval()
    import open_clip
    model_cfg = json.loads((folder / "open_clip_config.json").read_text())["model_cfg"]
    model_cfg["text_cfg"] |= dict(hf_model_name=str(folder.parent / "sizes"), hf_model_pretrained=False)
    custom = {k: v for k, v in model_cfg.items() if k in ("embed_dim", "vision_cfg", "text_cfg", "quick_gelu", "init_logit_bias")}
    model = open_clip.model.CustomTextCLIP(**custom)
    model.load_state_dict(load_file(str(folder / "open_clip_model.safetensors")))
    return model.eval()


def train_steps(build, name):
    pad = 0 if name.startswith("mt5") else 1
    train(build, name, lambda name, folder: open_clip_model(name, folder, drops=False)[:2], 0 if pad else 2, 2, pad,
          lambda folder: reload(name, folder))


def main(build, names):
    if names[0] == "--train":
        for name in names[1:]:
            train_steps(build, name)
        return
    for name in names:
        with tempfile.TemporaryDirectory() as place:
            place = pathlib.Path(place)
            folder = place / "peer"
            folder.mkdir()
            model, size, tokens, pad = (hugging_face_model if name.startswith("hf-") else open_clip_model)(name, folder)
            pixels = torch.randn(N, 3, size, size, generator=torch.Generator().manual_seed(3))
            theirs = figures(model, pixels, tokens, pad)
            del model
            save_file(dict(pixels=pixels, tokens=tokens), str(place / "in.safetensors"))
            subprocess.run([build / "bin/vlalign_run_tensors", "embed", folder, place / "in.safetensors", place / "out.safetensors", place / "saved"], check=True)
            ours = load_file(str(place / "out.safetensors"))
            result = {"model": name} | {key: (ours[key] - value).abs().max().item() for key, value in theirs.items()}
            result["largest_token"] = theirs["text_tokens"].abs().max().item()
            before, after = weights(folder), weights(place / "saved")
            result["bit_equal"] = before.keys() == after.keys() and all(torch.equal(before[k], after[k]) for k in before)
            del before, after
            again = figures(reload(name, place / "saved"), pixels, tokens, pad)
            result["saved_loads_there"] = differences([again["text_embedding"]], [theirs["text_embedding"]])
            result["peak_GiB_here"] = round(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 2**20, 2)
            print(json.dumps(result), flush=True)


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]), sys.argv[2:])
