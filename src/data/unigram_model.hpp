// A SentencePiece model out of Hugging Face's tokenizer.json.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

namespace vlalign {

/// The bytes of a spiece.model (sentencepiece_model.proto's ModelProto) with the pieces, scores and character map of a
/// tokenizer.json whose model is Unigram. Throws Error for normalizers that SentencePiece doesn't have.
std::string unigram_model(const nlohmann::json& tokenizer);

}  // namespace vlalign
