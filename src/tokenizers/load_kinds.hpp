// Makes a tokenizer of each kind from its files.
#pragma once

#include <memory>

#include "tokenizers/tokenizer_source.hpp"
#include "vlalign/tokenizers/tokenizer.hpp"

namespace vlalign {

using TokenizerPointer = std::shared_ptr<const Tokenizer>;

/// A byte-pair vocabulary.
struct BpeTables {
  std::filesystem::path file;  // of the vocabulary
  std::vector<Merge> merges;
  Vocabulary vocabulary;
};

/// Of tokenizer.json, or else vocab.json and merges.txt.
BpeTables read_bpe(const TokenizerSource& source);

TokenizerPointer load_gpt2(const TokenizerSource& source);
TokenizerPointer load_roberta(const TokenizerSource& source);
TokenizerPointer load_gemma(const TokenizerSource& source);
TokenizerPointer load_nllb(const TokenizerSource& source);
TokenizerPointer load_word_piece(const TokenizerSource& source);

TokenizerPointer load_siglip(const TokenizerSource& source);
TokenizerPointer load_t5(const TokenizerSource& source);
TokenizerPointer load_xlm_roberta(const TokenizerSource& source);
TokenizerPointer load_unigram(const TokenizerSource& source);

/// Of ENCODING.tiktoken in the folder or among the shared files; of GPT-2's vocab.json and merges.txt for r50k_base.
TokenizerPointer load_tiktoken(const TokenizerSource& source);

/// Of such a file by itself, whose name is the encoding's.
TokenizerPointer load_tiktoken_file(const std::filesystem::path& file);

/// The folder of a file that stands for it, such as vocab.txt.
TokenizerSource folder_of(const std::filesystem::path& file);

}  // namespace vlalign
