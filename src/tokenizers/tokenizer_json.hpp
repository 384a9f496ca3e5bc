// tokenizer.json of Hugging Face's tokenizers library.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "tokenizers/byte_level_bpe.hpp"

namespace vlalign {

/// A piece of text and its log probability.
using ScoredPiece = std::pair<std::string, double>;

/// Such a file with its large tables apart, which as JSON values would take several times their room.
struct TokenizerJson {
  nlohmann::json rest = {};              ///< all but model.vocab and model.merges
  std::vector<ScoredPiece> pieces = {};  ///< model.vocab where it is an array, as Unigram's
  Vocabulary vocabulary = {};            ///< model.vocab where it is an object, as BPE's and WordPiece's
  std::vector<Merge> merges = {};        ///< model.merges
};

/// Throws Error, `where` in front, as parse_json() does, and for tables of another form.
TokenizerJson parse_tokenizer_json(std::string_view text, const std::string& where);

}  // namespace vlalign
