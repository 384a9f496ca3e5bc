// transformers' BertModel.
#include "model/peers/text_bert.hpp"

#include "config/validate.hpp"
#include "core/check.hpp"
#include "model/peers/hugging_face_keys.hpp"
#include "model/peers/text_family.hpp"

namespace vlalign {
namespace {

using nlohmann::json;

TextConfig read_bert(JsonSection& section) {
  auto config = text_of(section, {30522, 512, 768, 12, "gelu", 1e-12});
  config.architecture = TextConfig::Architecture::bert;
  config.pool = TextConfig::Pool::first;
  config.causal = false;
  config.token_types = section.positive("type_vocab_size", 2);
  config.pad_id = token_id(section, "pad_token_id", 0);
  config.end_id = token_id(section, "eos_token_id", config.end_id);
  config.block.dropout = dropout_of(section, "hidden_dropout_prob", 0.1);
  config.block.attention_dropout = dropout_of(section, "attention_probs_dropout_prob", 0.1);
  config.pooler = section.get<bool>("pooler", false);
  check_absolute_positions(section);
  return config;
}

json write_bert(const TextConfig& text) {
  auto plain = text;
  plain.block.attention_dropout = 0;  // BERT has a key of its own for it
  auto out = text_json(plain);
  out["max_position_embeddings"] = position_rows(text);
  out["hidden_dropout_prob"] = text.block.dropout;
  out["attention_probs_dropout_prob"] = text.block.attention_dropout;
  out["eos_token_id"] = text.end_id;
  out["type_vocab_size"] = text.token_types;
  out["pooler"] = text.pooler;
  return out;
}

bool holds_bert(const TextConfig& text) {
  return text.architecture == TextConfig::Architecture::bert && text.positions == TextConfig::Positions::learned;
}

}  // namespace

NamingSchemes schemes_bert(const TextConfig&) {
  return {
      {.scope = "",
       .renames = {{"transformer.resblocks.", "encoder.layer."},
                   {".ln_1.", ".attention.output.LayerNorm."},
                   {".ln_2.", ".output.LayerNorm."},
                   {".attn.out_proj.", ".attention.output.dense."},
                   {".mlp.c_fc.", ".intermediate.dense."},
                   {".mlp.c_proj.", ".output.dense."},
                   {"pooler.", "pooler.dense."}},
       .fused = {
           {".attn.in_proj_",
            3,
            {{".attention.self.query.", 0, 1}, {".attention.self.key.", 1, 1}, {".attention.self.value.", 2, 1}}}}}};
}

void check_absolute_positions(JsonSection& section) {
  for (const auto* key : {"is_decoder", "add_cross_attention"})
    check(!section.get<bool>(key, false), "{}.{}: only false is built here", section.where(), key);
  const auto type = section.get<std::string>("position_embedding_type", "absolute");
  check(type == "absolute", "{}.position_embedding_type: only absolute is built here, got {}", section.where(), type);
}

const TextFamily text_bert{"bert", read_bert, holds_bert, write_bert, schemes_bert, "bert."};

}  // namespace vlalign
