#!/usr/bin/env python3
"""Which of open_clip's published weights load here, by their configs:

    python tests/peers/coverage.py BUILD [PATH/TO/open_clip/src]

For each model of open_clip.list_pretrained() the peer's own class is made without memory for its weights, and its state dict's names and
shapes are compared with those that `vlalign_run_tensors names` gives for the same config. Prints each model with what stands against it, then how many
(model, tag) pairs load. The second argument is an open_clip checkout; without it the installed one is taken."""

import collections
import json
import pathlib
import subprocess
import sys
import tempfile
import warnings

warnings.filterwarnings("ignore")
build = pathlib.Path(sys.argv[1])
if len(sys.argv) > 2: sys.path.insert(0, sys.argv[2])
import torch
import transformers

# The sizes that transformers would fetch by these names.
NLLB = dict(vocab_size=256206, encoder_ffn_dim=4096, decoder_ffn_dim=4096, encoder_attention_heads=16, decoder_attention_heads=16,
            d_model=1024, encoder_layers=12, decoder_layers=12, scale_embedding=True, max_position_embeddings=1024)
XLM = dict(vocab_size=250002, max_position_embeddings=514, type_vocab_size=1, layer_norm_eps=1e-5, pad_token_id=1)
SIZES = {
    "roberta-base": transformers.RobertaConfig(vocab_size=50265, max_position_embeddings=514, type_vocab_size=1, layer_norm_eps=1e-5),
    "xlm-roberta-base": transformers.XLMRobertaConfig(**XLM),
    "xlm-roberta-large": transformers.XLMRobertaConfig(**XLM, hidden_size=1024, num_hidden_layers=24, num_attention_heads=16, intermediate_size=4096),
    "google/mt5-base": transformers.MT5Config(vocab_size=250112, d_model=768, d_ff=2048, num_layers=12, num_heads=12, d_kv=64),
    "google/mt5-xl": transformers.MT5Config(vocab_size=250112, d_model=2048, d_ff=5120, num_layers=24, num_heads=32, d_kv=64),
    "facebook/nllb-200-distilled-600M": transformers.M2M100Config(**NLLB),
    "facebook/nllb-200-distilled-1.3B": transformers.M2M100Config(**{**NLLB, "encoder_layers": 24, "decoder_layers": 24, "encoder_ffn_dim": 8192,
                                                                    "decoder_ffn_dim": 8192}),
}


def peer_shapes(config):
    """The names and shapes of the peer's state dict."""
    import open_clip
    known = lambda name, **_: SIZES[name]
    transformers.AutoConfig.from_pretrained = known
    text = dict(config["text_cfg"], hf_model_pretrained=False)
    sections = {key: value for key, value in config.items() if key not in ("custom_text", "text_cfg", "multimodal_cfg")}
    with torch.device("meta"):
        if "multimodal_cfg" in config:
            model = open_clip.CoCa(**sections, text_cfg=text, multimodal_cfg=config["multimodal_cfg"])
        elif config.get("custom_text") or "hf_model_name" in text:
            model = open_clip.CustomTextCLIP(**sections, text_cfg=text)
        else:
            model = open_clip.CLIP(**sections, text_cfg=text)
    return {name: list(tensor.shape) for name, tensor in model.state_dict().items()}


def our_shapes(config):
    with tempfile.TemporaryDirectory() as place:
        file = pathlib.Path(place) / "model.json"
        file.write_text(json.dumps(config))
        run = subprocess.run([build / "bin/vlalign_run_tensors", "names", file], capture_output=True, text=True)
        if run.returncode != 0: raise ValueError(run.stderr.strip().replace(str(file), "config").splitlines()[-1][:300])
        return json.loads(run.stdout)


def fault(name, config):
    """What keeps a model from loading; none where nothing does."""
    if "audio_cfg" in config: return "hears sounds in place of seeing pictures"
    try:
        ours = our_shapes(config)
    except ValueError as error:
        return str(error)
    theirs = peer_shapes(config)
    kept = {key for key in theirs if key.startswith("text_decoder.")}  # CoCa's decoder, kept as it is
    missing, extra = theirs.keys() - ours.keys() - kept, ours.keys() - theirs.keys()
    shapes = [key for key in ours.keys() & theirs.keys() if ours[key] != theirs[key] and theirs[key] not in ([], [1])]
    return "; ".join(f"{len(keys)} {what}, such as {sorted(keys)[0]}" for what, keys in
                     (("tensors missing here", missing), ("only here", extra), ("of other shapes", shapes)) if keys) or None


def main():
    import open_clip
    tags = collections.Counter(name for name, _ in open_clip.list_pretrained())
    loads, reasons = 0, {}
    for name in sorted(tags):
        reason = fault(name, open_clip.get_model_config(name))
        if reason: reasons[name] = reason
        else: loads += tags[name]
        print(f"{name} ({tags[name]}): {reason or 'loads'}", flush=True)
    print(f"open_clip {open_clip.__version__}: {loads} of {sum(tags.values())} published weights load; not: "
          f"{', '.join(f'{name} ({tags[name]})' for name in reasons) or 'none'}")


main()
