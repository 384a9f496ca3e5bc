#!/usr/bin/env python3
"""Compares vlalign's token ids with the peers', by hand:

    python tests/peers/tokenizer_agreement.py captions CAPTIONS        writes captions in many scripts, one a line
    python tests/peers/tokenizer_agreement.py train CAPTIONS FOLDER    trains a tokenizer of each kind on them
    python tests/peers/tokenizer_agreement.py large CAPTIONS FOLDER
    python tests/peers/tokenizer_agreement.py compare CAPTIONS PROGRAM FOLDER...

`large` writes folders with made-up vocabularies of 250,000 entries (mT5's number) and 901,629 (XLM-V's) in place of
trained ones. `compare` prints for each folder how many captions get other ids from PROGRAM (build/bin/vlalign_token_ids) than from
open_clip, where the folder has an open_clip_config.json or is CLIP's bpe_simple_vocab_16e6.txt.gz, or else from
transformers; the same for the files that vlalign writes for it; and how many captions a second each gives, on one
thread. Needs open_clip_torch, transformers, tokenizers, sentencepiece, protobuf, tiktoken and the CLDR's annotations
(Debian: unicode-cldr-core)."""

import glob
import json
import pathlib
import random
import shutil
import subprocess
import sys
import tempfile
import time
import unicodedata
import xml.etree.ElementTree

import tokenizer_kinds as kinds

CONTEXT_LENGTH = 77
VOCABULARY = 30000

HARD = [
    "should've I'VE we'll dog's 'tis rock'n'roll ''s '' don't_stop",
    "<|endoftext|> <|startoftext|> <|STARTOFTEXT|>! [SEP]x[MASK] [cls] </s>x <unk> y<pad> <s>",
    "3.14 1,000,000 \u00bd \u2460 12\u0663\u00be 50% #1 $5 \u20ac5",
    "\U0001f468\u200d\U0001f469\u200d\U0001f467 \U0001f44d\U0001f3fd \u2764\ufe0f \U0001f1ef\U0001f1f5 1\ufe0f\u20e3",
    "caf\u00e9 cafe\u0301 \u0130STANBUL \u039f\u0394\u039f\u03a3 stra\u00dfe \u1e9e \ufb01 \u01c5 \u212a \u017f",
    "\u00a0a\u3000b\u2003c\u2028d\u0085e\x1cf\x0bg \t h  i   j",
    "a\x00b\x01c\x7fd\x1be\ufeff\u200b\u00ad\ufffd\u2060",
    "\uff21\uff42\uff23\uff11\uff12\uff01 \uff76\uff9e \u1112\u1161\u11ab \ud55c \u0958",
    "&amp;amp; &lt;b&gt; &eacute; &#39; R&D",
    "\u6c49\u5b57\u3042\u30a2\uac00 \u0e20\u0e32\u0e29\u0e32\u0e44\u0e17\u0e22 \u0627\u0644\u0639\u064e\u0631\u0628\u0650\u064a\u0651\u0629 \u0939\u093f\u0928\u094d\u0926\u0940",
    "\u2581a \u2581\u2581 b_c \u201cquotes\u201d \u2018it\u2019s\u2019 \u2014 \u2026",
    "word " * 100, "a" * 500, "banana" * 60, "\u6f22\u5b57" * 60, "1" * 100, "!" * 300, "",
]  # fmt: skip


def names_in_all_languages():
    for file in sorted(glob.glob("/usr/share/unicode/cldr/common/annotations*/*.xml")):
        for annotation in xml.etree.ElementTree.parse(file).getroot().iter("annotation"):
            if annotation.get("type") == "tts" and annotation.text:
                yield annotation.text
    for file in sorted(glob.glob("/usr/share/unicode/cldr/common/main/*.xml")):
        root = xml.etree.ElementTree.parse(file).getroot()
        for kind in ("language", "territory", "exemplarCity", "displayName"):
            yield from (element.text for element in root.iter(kind) if element.text)


def every_character():
    characters = [chr(c) for c in range(0x110000) if not 0xD800 <= c < 0xE000 and chr(c) not in "\n\r"]
    for start in range(0, 0x30000, 8):
        yield " ".join(characters[start : start + 8])
        yield "a".join(characters[start : start + 8])


def random_text(count):
    generator = random.Random(1)
    alphabets = [
        "abcXYZ", "'sdtmlre", " \t\u00a0\u3000\x1c", "0123\u0663\u00bd", ".,!_-<>|/&;#", "\u00e9\u0301\u0323\u0130\u03a3",
        "\u6c49\u3042\uac00", "\u0627\u064e\u0e01\u0e34\u0939\u094d", "\U0001f600\u200d\ufe0f\U0001f3fd", "\u1100\u1161\u11a8",
    ]  # fmt: skip
    for _ in range(count):
        yield "".join(
            generator.choice(generator.choice(alphabets)) for _ in range(generator.randrange(40))
        )


def write_captions(path):
    names = list(dict.fromkeys(names_in_all_languages()))
    generator = random.Random(0)
    changed = [generator.choice((str.upper, str.title, lambda n: f"A photo of {n}, it's 5.5!"))(name) for name in generator.sample(names, 30000)]
    captions = HARD + names + changed + list(every_character()) + list(random_text(20000))
    captions = [caption.replace("\n", " ").replace("\r", " ") for caption in captions]
    path.write_text("".join(caption + "\n" for caption in captions), newline="")
    print(len(captions), "captions,", len(names), "of them names in the CLDR's languages")


def read_captions(path):
    return path.read_bytes().decode().split("\n")[:-1]


def train(captions, folder):
    import sentencepiece
    import tokenizers
    import transformers

    captions = [c for c in captions if 0 < len(c) < 400]
    names = captions[: len(captions) // 2]
    with tempfile.TemporaryDirectory() as files:
        files = pathlib.Path(files)
        for lower, name in ((True, "bert_uncased"), (False, "bert_cased")):
            bert = tokenizers.BertWordPieceTokenizer(lowercase=lower)
            bert.train_from_iterator(names, vocab_size=VOCABULARY, show_progress=False)
            bert.save_model(str(files))
            bert = transformers.BertTokenizer.from_pretrained(files, do_lower_case=lower)
            bert.save_pretrained(folder / name)
        gpt2 = tokenizers.ByteLevelBPETokenizer()
        gpt2.train_from_iterator(names, vocab_size=VOCABULARY, special_tokens=["<|endoftext|>"], show_progress=False)
        gpt2.save_model(str(files))
        transformers.GPT2Tokenizer(str(files / "vocab.json"), str(files / "merges.txt")).save_pretrained(folder / "gpt2")
        (files / "names.txt").write_text("\n".join(names))
        sentencepiece.SentencePieceTrainer.train(
            input=str(files / "names.txt"), model_prefix=str(files / "spiece"), vocab_size=VOCABULARY, pad_id=0, eos_id=1,
            unk_id=2, bos_id=-1, character_coverage=0.9995, hard_vocab_limit=False, minloglevel=2,
        )  # fmt: skip
        transformers.SiglipTokenizer(str(files / "spiece.model")).save_pretrained(folder / "siglip")
        write_t5(files / "spiece.model", folder / "t5")
        train_more(names, files, folder)
    write_gemma(names, VOCABULARY, 3000, folder)
    write_clip(folder)


def train_more(names, files, folder):
    kinds.write_roberta(names, VOCABULARY, folder / "roberta")
    kinds.write_chinese(names, VOCABULARY, folder / "chinese")
    for encoding, clean in (("r50k_base", "whitespace"), ("cl100k_base", None)):
        kinds.write_tiktoken(names, VOCABULARY, encoding, folder / encoding, clean)
    coverage = {"character_coverage": 0.9995}
    bert_like = {"pad_id": 0, "eos_id": 1, "unk_id": 2, "bos_id": -1}
    model = kinds.train_pieces(names, 8000, files / "xlm_roberta", **coverage)
    write_xlm_roberta(model, folder)
    write_as_open_clip(folder / "xlm_roberta", folder / "xlm_roberta_lower", {"clean": "lower"})
    model = kinds.train_pieces(names[::4], 8000, files / "t5", **coverage, **bert_like)
    kinds.write_t5(kinds.read_pieces(model), character_map_of(model), folder / "t5_extra")
    kinds.write_model_folder(model, "spiece.model", {"tokenizer_class": "T5Tokenizer", "extra_ids": 100}, folder / "t5_model")
    sentinels = [f"\u2581<extra_id_{i}>" for i in reversed(range(100))]
    model = kinds.train_pieces(
        names[::4], 8000, files / "mt5", **coverage, **bert_like, byte_fallback=True, user_defined_symbols=sentinels
    )
    config = {"tokenizer_class": "T5Tokenizer", "extra_ids": 0, "additional_special_tokens": None}
    kinds.write_model_folder(model, "spiece.model", config, folder / "mt5_model")
    kinds.write_nllb(names, VOCABULARY, character_map_of(model), folder / "nllb")
    write_as_open_clip(folder / "nllb", folder / "nllb_french", {"src_lang": "fra_Latn"})


def write_xlm_roberta(model, folder):
    kinds.write_xlm_roberta(kinds.read_pieces(model)[3:], character_map_of(model), folder / "xlm_roberta")
    config = {"tokenizer_class": "XLMRobertaTokenizer"}
    kinds.write_model_folder(model, "sentencepiece.bpe.model", config, folder / "xlm_roberta_model")


def write_as_open_clip(source, folder, kwargs):
    """The same files beside an open_clip config."""
    shutil.copytree(source, folder)
    text = {"hf_tokenizer_name": "local", "context_length": CONTEXT_LENGTH, "tokenizer_kwargs": kwargs}
    (folder / "open_clip_config.json").write_text(json.dumps({"model_cfg": {"text_cfg": text}}))


def character_map_of(model):
    import sentencepiece

    return character_map(sentencepiece.SentencePieceProcessor(model_file=str(model)))


def write_large(captions, folder):
    names = [c for c in captions if 0 < len(c) < 400]
    with tempfile.TemporaryDirectory() as files:
        map_bytes = character_map_of(kinds.train_pieces(names[::200], 4000, pathlib.Path(files) / "small", character_coverage=0.98))
    front = [("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0)]
    kinds.write_t5([*front, *kinds.made_up_pieces(names, 250000 - 3)], map_bytes, folder / "mt5_250000")
    kinds.write_xlm_roberta(kinds.made_up_pieces(names, 901629 - 5), map_bytes, folder / "xlm_v")


def write_gemma(texts, size, alphabet, folder):
    """SigLIP 2's kind, which lowercases, and Gemma's with more added tokens and a start token. The latter's merges are in
    any order, so that some come before those they build on, as in a vocabulary made with SentencePiece."""
    import tokenizers
    import transformers
    from tokenizers import AddedToken, normalizers, pre_tokenizers

    pieces = ["<pad>", "<eos>", "<bos>", "<unk>", "<mask>", *(f"<0x{byte:02X}>" for byte in range(256))]
    space = normalizers.Replace(" ", "\u2581")
    kinds = ((transformers.Siglip2Tokenizer, "siglip2", normalizers.Sequence([normalizers.Lowercase(), space])),
             (transformers.GemmaTokenizer, "gemma", space))  # fmt: skip
    for kind, name, normalizer in kinds:
        bpe = tokenizers.Tokenizer(tokenizers.models.BPE(unk_token="<unk>", byte_fallback=True, fuse_unk=True))
        bpe.normalizer, bpe.pre_tokenizer = normalizer, pre_tokenizers.Split("\u2581", "merged_with_next")
        trainer = tokenizers.trainers.BpeTrainer(
            vocab_size=size, limit_alphabet=alphabet, special_tokens=pieces, show_progress=False
        )
        bpe.train_from_iterator(texts, trainer)
        model = json.loads(bpe.to_str())["model"]
        merges = [tuple(merge) for merge in model["merges"]]
        if name == "gemma":
            random.Random(0).shuffle(merges)
        tokenizer = kind(
            vocab=model["vocab"], merges=merges, add_bos_token=name == "gemma", add_eos_token=True, padding_side="right"
        )
        if name == "gemma":
            added = [("<table>", False), ("\u2581\u2581", False), ("  ", False), ("A Photo", True), ("\u00e9", True)]
            tokenizer.add_tokens([AddedToken(text, normalized=normalized) for text, normalized in added])
            tokenizer.add_tokens([AddedToken("<strip>", lstrip=True, rstrip=True, normalized=False)])
        tokenizer.save_pretrained(folder / name)


def write_t5(model, folder):
    """SigLIP's model as open_clip's folders have it: a tokenizer.json for T5Tokenizer."""
    import sentencepiece
    import tokenizers
    import transformers

    processor = sentencepiece.SentencePieceProcessor(model_file=str(model))
    pieces = [(processor.id_to_piece(i), processor.get_score(i)) for i in range(processor.get_piece_size())]
    transformers.T5Tokenizer(vocab=pieces, extra_ids=0, _spm_precompiled_charsmap=character_map(processor)).save_pretrained(folder)


def character_map(processor):
    """normalizer_spec (field 3) .precompiled_charsmap (2) of the model, a protocol buffer."""

    def fields(data):
        at = 0

        def varint():
            nonlocal at
            value = shift = 0
            while True:
                byte = data[at]
                at += 1
                value |= (byte & 0x7F) << shift
                shift += 7
                if byte < 0x80:
                    return value

        while at < len(data):
            key = varint()
            if key & 7 == 0:
                value = varint()
            else:
                size = varint() if key & 7 == 2 else 4
                value = data[at : at + size]
                at += size
            yield key >> 3, value

    normalizer = dict(fields(processor.serialized_model_proto()))[3]
    return dict(fields(normalizer))[2]


def write_clip(folder):
    """CLIP's real vocabulary as transformers writes it."""
    import transformers
    from open_clip.tokenizer import SimpleTokenizer

    simple = SimpleTokenizer()
    vocabulary = dict(simple.encoder)
    vocabulary["<|startoftext|>"] = vocabulary.pop("<start_of_text>")
    vocabulary["<|endoftext|>"] = vocabulary.pop("<end_of_text>")
    merges = sorted(simple.bpe_ranks, key=simple.bpe_ranks.get)
    transformers.CLIPTokenizer(vocab=vocabulary, merges=merges).save_pretrained(folder / "clip")


def peer_ids(folder, captions):
    if folder.is_file():
        from open_clip.tokenizer import SimpleTokenizer

        simple = SimpleTokenizer(str(folder))
        for caption in captions:
            ids = [simple.sot_token_id, *simple.encode(caption), simple.eot_token_id]
            yield ids if len(ids) <= CONTEXT_LENGTH else ids[: CONTEXT_LENGTH - 1] + [simple.eot_token_id]
        return
    clean = str
    if list(folder.glob("*.tiktoken")):
        from open_clip.tokenizer import get_clean_fn

        yield from map(kinds.tiktoken_ids(folder, get_clean_fn, CONTEXT_LENGTH), captions)
        return
    if (folder / "open_clip_config.json").exists():
        import open_clip

        wrapped = open_clip.get_tokenizer(f"local-dir:{folder}")
        clean, tokenizer = wrapped.clean_fn, wrapped.tokenizer
    else:
        import transformers

        tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    is_gpt2 = type(tokenizer).__name__ == "GPT2Tokenizer"  # the end token is vlalign's
    end = [tokenizer.eos_token_id] if is_gpt2 else []
    for start in range(0, len(captions), 1000):
        batch = [clean(c) for c in captions[start : start + 1000]]
        for ids in tokenizer(batch, truncation=True, max_length=CONTEXT_LENGTH - len(end))["input_ids"]:
            yield ids + end


def our_ids(program, folder, captions, saved):
    text = "".join(caption + "\n" for caption in captions).encode()
    run = subprocess.run([program, folder, str(CONTEXT_LENGTH), saved], input=text, capture_output=True, check=False)
    if run.returncode != 0:
        sys.exit(f"{folder}: {run.stderr.decode()}")
    return [[int(i) for i in line.split()] for line in run.stdout.decode().splitlines()]


def has_newer_character(caption):
    return any(unicodedata.category(c) == "Cn" for c in caption)


def compare(captions, program, folders):
    for folder in folders:
        with tempfile.TemporaryDirectory() as saved:
            start = time.perf_counter()
            our_ids(program, folder, [], saved)
            loaded = time.perf_counter()
            ours = our_ids(program, folder, captions, saved)
            our_time = time.perf_counter() - loaded - (loaded - start)
            if (folder / "open_clip_config.json").exists():
                (pathlib.Path(saved) / "open_clip_config.json").write_bytes((folder / "open_clip_config.json").read_bytes())
            first = time.perf_counter()
            next(peer_ids(folder, captions[:1]))
            second = time.perf_counter()
            theirs = list(peer_ids(folder, captions))
            their_time = time.perf_counter() - second - (second - first)
            rows = zip(captions, ours, theirs, strict=True)
            different = [row for row in rows if row[1] != row[2]]
            newer = sum(has_newer_character(caption) for caption, _, _ in different)
            message = f"{folder}: {len(different)} of {len(captions)} captions differ"
            message += f", {newer} with characters newer than Unicode {unicodedata.unidata_version}"
            if not folder.is_file():
                written = list(peer_ids(pathlib.Path(saved), captions))
                message += f"; from what vlalign wrote the peer gives {sum(a != b for a, b in zip(written, theirs))} others"
            message += f"; load and save {loaded - start:.2f} s, peer's load {second - first:.2f} s"
            message += f"; {len(captions) / our_time:.0f} captions/s, peer's {len(captions) / their_time:.0f}"
            print(message, flush=True)
        for caption, mine, peer in random.Random(0).sample(different, min(8, len(different))):
            print("   ", json.dumps(caption[:60]), mine[:24], peer[:24])


def main():
    command, captions, *rest = sys.argv[1:]
    if command == "captions":
        write_captions(pathlib.Path(captions))
    elif command == "train":
        train(read_captions(pathlib.Path(captions)), pathlib.Path(rest[0]))
    elif command == "large":
        write_large(read_captions(pathlib.Path(captions)), pathlib.Path(rest[0]))
    else:
        compare(read_captions(pathlib.Path(captions)), rest[0], [pathlib.Path(folder) for folder in rest[1:]])


if __name__ == "__main__":
    main()
