// What the tokenizer.json and tokenizer_config.json of a GemmaTokenizer say beside its vocabulary.
#pragma once

#include <nlohmann/json.hpp>

#include "tokenizers/gemma_tokenizer.hpp"

namespace vlalign {

/// All but the added tokens. Throws Error where the files ask for something else than GemmaTokenizer does. `config` may
/// be an empty object.
GemmaTokenizerOptions read_gemma_options(const nlohmann::json& config, const nlohmann::json& tokenizer);

nlohmann::json gemma_config_json(const GemmaTokenizerOptions& options);

/// The parts of tokenizer.json but "added_tokens" and the model's "vocab" and "merges".
nlohmann::json gemma_tokenizer_json(const GemmaTokenizerOptions& options, std::int64_t start_id, std::int64_t end_id);

}  // namespace vlalign
