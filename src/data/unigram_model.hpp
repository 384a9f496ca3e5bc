// A SentencePiece model out of Hugging Face's tokenizer.json.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

namespace vlalign {

/// The bytes of a spiece.model (sentencepiece_model.proto's ModelProto) with the pieces and scores of a tokenizer.json
/// whose model is Unigram, and without its character map.
std::string unigram_model(const nlohmann::json& tokenizer);

/// The bytes of its precompiled_charsmap, empty where it has none. Throws Error for normalizers of another kind.
std::string unigram_character_map(const nlohmann::json& tokenizer);

}  // namespace vlalign
