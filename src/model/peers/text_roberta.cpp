// transformers' RobertaModel and XLMRobertaModel.
#include "config/validate.hpp"
#include "core/check.hpp"
#include "model/peers/hugging_face_keys.hpp"
#include "model/peers/text_bert.hpp"
#include "model/peers/text_family.hpp"

namespace vlalign {
namespace {

using nlohmann::json;

TextConfig read_roberta(JsonSection& section) {
  auto config = text_of(section, {50265, 512, 768, 12, "gelu", 1e-12});
  config.architecture = TextConfig::Architecture::bert;
  config.positions = TextConfig::Positions::learned_from_padding;
  config.pool = TextConfig::Pool::first;
  config.causal = false;
  config.token_types = section.positive("type_vocab_size", 2);
  config.pad_id = token_id(section, "pad_token_id", 1);
  config.end_id = token_id(section, "eos_token_id", 2);
  config.pooler = section.get<bool>("pooler", false);
  check_absolute_positions(section);
  const auto rows = config.context_length;
  check(rows > config.pad_id + 1, "{}.max_position_embeddings: expected more than pad_token_id + 1, {}, got {}",
        section.where(), config.pad_id + 1, rows);
  config.context_length = rows - config.pad_id - 1;
  return config;
}

json write_roberta(const TextConfig& text) {
  auto out = text_json(text);
  out["max_position_embeddings"] = position_rows(text);
  out["eos_token_id"] = text.end_id;
  out["type_vocab_size"] = text.token_types;
  out["pooler"] = text.pooler;
  return out;
}

bool holds_roberta(const TextConfig& text) {
  return text.architecture == TextConfig::Architecture::bert &&
         text.positions == TextConfig::Positions::learned_from_padding;
}

}  // namespace

const TextFamily text_roberta{"roberta", read_roberta, holds_roberta, write_roberta, schemes_bert, "roberta."};
const TextFamily text_xlm_roberta{"xlm-roberta", read_roberta, holds_roberta, write_roberta, schemes_bert, "roberta."};

}  // namespace vlalign
