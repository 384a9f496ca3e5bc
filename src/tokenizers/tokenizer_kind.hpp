// Which tokenizer a folder's files make.
#pragma once

#include "tokenizers/tokenizer_source.hpp"

namespace vlalign {

enum class TokenizerKind {
  clip,
  gpt2,
  roberta,
  word_piece,
  siglip,       ///< spiece.model read by SentencePiece itself
  t5,           ///< unigram as T5Tokenizer makes it of its files
  xlm_roberta,  ///< unigram as XLMRobertaTokenizer makes it of its files
  unigram,      ///< unigram as tokenizer.json says
  nllb,
  gemma,
  tiktoken,
};

/// By the class that tokenizer_config.json names, or else by what the files hold. Throws Error naming the class or the
/// parts of a tokenizer that isn't read here.
TokenizerKind kind_of(const TokenizerSource& source);

/// The class without "Fast"; empty where none is named or the name says nothing.
std::string tokenizer_class(const nlohmann::json& config);

}  // namespace vlalign
