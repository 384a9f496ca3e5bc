"""Tokenizers in the structure of published ones, for tokenizer_agreement.py and the fixtures: each function trains a
vocabulary on texts, or makes one up, and writes a folder as transformers writes it."""

import base64
import json
import random
import tempfile
from pathlib import Path

LANGUAGES = ["ace_Arab", "eng_Latn", "fra_Latn", "jpn_Jpan", "zho_Hans", "zul_Latn"]
R50K = r"""'(?:[sdmt]|ll|ve|re)| ?\p{L}++| ?\p{N}++| ?[^\s\p{L}\p{N}]++|\s++$|\s+(?!\S)|\s"""
CL100K = r"""'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}++|\p{N}{1,3}+| ?[^\s\p{L}\p{N}]++[\r\n]*+|\s++$|\s*[\r\n]|\s+(?!\S)|\s"""  # fmt: skip
SPECIAL_IDS = {"r50k_base": 1, "cl100k_base": 21}


def write_roberta(texts, size, folder):
    import tokenizers
    import transformers

    bpe = tokenizers.ByteLevelBPETokenizer()
    special = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
    bpe.train_from_iterator(texts, vocab_size=size, special_tokens=special, show_progress=False)
    model = json.loads(bpe._tokenizer.to_str())["model"]
    merges = [tuple(merge) for merge in model["merges"]]
    mask = tokenizers.AddedToken("<mask>", lstrip=True, normalized=False, special=True)
    transformers.RobertaTokenizer(vocab=model["vocab"], merges=merges, mask_token=mask).save_pretrained(folder)


def train_pieces(texts, size, prefix, **options):
    """A SentencePiece model; texts may not hold line ends or zero bytes."""
    import sentencepiece

    with tempfile.TemporaryDirectory() as files:
        lines = Path(files) / "texts.txt"
        lines.write_text("\n".join(text.replace("\0", "") for text in texts if text.strip()))
        sentencepiece.SentencePieceTrainer.train(
            input=str(lines), model_prefix=str(prefix), vocab_size=size, hard_vocab_limit=False, minloglevel=2, **options
        )
    return Path(f"{prefix}.model")


def read_pieces(model):
    import sentencepiece

    processor = sentencepiece.SentencePieceProcessor(model_file=str(model))
    return [(processor.id_to_piece(i), processor.get_score(i)) for i in range(processor.get_piece_size())]


def made_up_pieces(texts, size):
    """Pieces of the texts' words with scores by chance, as many as asked for; what the texts have too few of is filled
    up with words of random letters."""
    generator = random.Random(0)
    pieces = dict.fromkeys(c for text in texts for c in text if not c.isspace())
    words = ["\u2581" + word for text in texts for word in text.split()]
    for length in (2, 3, 4, 1000, 5, 6, 7, 8, 10, 12, 16):
        for word in words:
            for start in range(len(word)) if length < 1000 else (0,):
                pieces[word[start : start + length]] = None
            if len(pieces) >= size + 5:
                break
    letters = sorted({c for text in texts[:2000] for c in text if c.isalpha()})
    while len(pieces) < size + 5:
        pieces["".join(generator.choices(letters, k=generator.randrange(3, 12)))] = None
    special = {"<s>", "</s>", "<pad>", "<unk>", "<mask>"}  # stand in front, and once
    return [(piece, -generator.uniform(3, 16) - 0.1 / len(piece)) for piece in list(pieces) if piece not in special][:size]


def write_xlm_roberta(pieces, character_map, folder):
    """pieces: without SentencePiece's three special ones."""
    import transformers

    front = [("<s>", 0.0), ("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0)]
    mask = transformers.AddedToken("<mask>", lstrip=True, normalized=False, special=True)
    transformers.XLMRobertaTokenizer(
        vocab=[*front, *pieces, ("<mask>", 0.0)], mask_token=mask, _spm_precompiled_charsmap=character_map
    ).save_pretrained(folder)


def write_model_folder(model, name, config, folder):
    """A folder with the SentencePiece model alone, as the first checkpoints have it."""
    folder.mkdir(parents=True)
    (folder / name).write_bytes(model.read_bytes())
    (folder / "tokenizer_config.json").write_text(json.dumps(config))


def write_t5(pieces, character_map, folder, extra_ids=100):
    """T5's: the sentinels behind SentencePiece's pieces."""
    import transformers

    extra = [(f"<extra_id_{i}>", 0.0) for i in reversed(range(extra_ids))]
    transformers.T5Tokenizer(
        vocab=[*pieces, *extra], extra_ids=extra_ids, _spm_precompiled_charsmap=character_map
    ).save_pretrained(folder)


def write_nllb(texts, size, character_map, folder, language="eng_Latn"):
    import tokenizers
    import transformers
    from tokenizers import normalizers, pre_tokenizers

    bpe = tokenizers.Tokenizer(tokenizers.models.BPE(unk_token="<unk>", fuse_unk=True))
    bpe.normalizer = normalizers.Precompiled(character_map)
    bpe.pre_tokenizer = pre_tokenizers.Metaspace(replacement="\u2581", prepend_scheme="always", split=True)
    special = ["<s>", "<pad>", "</s>", "<unk>"]
    alphabet = min(3000, size // 3)
    trainer = tokenizers.trainers.BpeTrainer(
        vocab_size=size, limit_alphabet=alphabet, special_tokens=special, show_progress=False
    )
    bpe.train_from_iterator(texts, trainer)
    model = json.loads(bpe.to_str())["model"]
    merges = [tuple(merge) for merge in model["merges"]]
    transformers.NllbTokenizer(
        vocab=model["vocab"], merges=merges, additional_special_tokens=list(LANGUAGES), src_lang=language,
        _spm_precompiled_charsmap=character_map,
    ).save_pretrained(folder)  # fmt: skip


def write_chinese(texts, size, folder):
    """vocab.txt alone, as Chinese-CLIP's folders have it: every Chinese character is an entry."""
    import tokenizers

    bert = tokenizers.BertWordPieceTokenizer(lowercase=True, handle_chinese_chars=True)
    bert.train_from_iterator(texts, vocab_size=size, show_progress=False)
    folder.mkdir(parents=True)
    bert.save_model(str(folder))
    (folder / "tokenizer_config.json").write_text(json.dumps({"tokenizer_class": "BertTokenizer", "do_lower_case": True}))


def write_tiktoken(texts, size, encoding, folder, clean=None):
    """The vocabulary file, and an open_clip config that names it."""
    import tokenizers
    from tokenizers import Regex, pre_tokenizers

    pattern = {"r50k_base": R50K, "cl100k_base": CL100K}[encoding].replace("++", "+").replace("}+", "}").replace("?+", "?")
    bpe = tokenizers.Tokenizer(tokenizers.models.BPE())
    bpe.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Split(Regex(pattern.replace("*+", "*")), "isolated"), pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)]
    )  # fmt: skip
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = tokenizers.trainers.BpeTrainer(vocab_size=size, initial_alphabet=alphabet, show_progress=False)
    bpe.train_from_iterator(texts, trainer)
    byte_of = byte_of_character()
    tokens = sorted(bpe.get_vocab().items(), key=lambda entry: entry[1])
    folder.mkdir(parents=True)
    lines = (base64.b64encode(bytes(byte_of[c] for c in token)) + b" %d\n" % rank for token, rank in tokens)
    (folder / f"{encoding}.tiktoken").write_bytes(b"".join(lines))
    text = {"tokenizer_type": "tiktoken", "tiktoken_name": encoding, "tokenizer_kwargs": {"clean": clean} if clean else {}}
    (folder / "open_clip_config.json").write_text(json.dumps({"model_cfg": {"text_cfg": text}}))


def byte_of_character():
    """GPT-2's characters for bytes."""
    plain = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [byte for byte in range(256) if byte not in plain]
    return {chr(byte): byte for byte in plain} | {chr(256 + i): byte for i, byte in enumerate(others)}


def tiktoken_ids(folder, clean_of, context_length):
    """Of open_clip's TikTokenTokenizer with tiktoken's own merges: encode(text) -> ids."""
    import tiktoken

    text = json.loads((folder / "open_clip_config.json").read_text())["model_cfg"]["text_cfg"]
    name = text["tiktoken_name"]
    lines = (folder / f"{name}.tiktoken").read_bytes().splitlines()
    ranks = {base64.b64decode(token): int(rank) for token, rank in (line.split() for line in lines)}
    size = len(ranks) + SPECIAL_IDS[name]
    special = {f"<|special_{i}|>": len(ranks) + i for i in range(SPECIAL_IDS[name])}
    pattern = {"r50k_base": R50K, "cl100k_base": CL100K}[name]
    encoding = tiktoken.Encoding(name="test", pat_str=pattern, mergeable_ranks=ranks, special_tokens=special)
    assert encoding.n_vocab == size
    clean = text.get("tokenizer_kwargs", {}).get("clean")
    cleaned = clean_of(clean) if clean else str

    def encode(caption):
        ids = [size + 2, *encoding.encode_ordinary(cleaned(caption)), size]
        return ids if len(ids) <= context_length else [*ids[: context_length - 1], size]

    return encode
