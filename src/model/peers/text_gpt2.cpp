// transformers' GPT2Model.
#include "model/peers/hugging_face_keys.hpp"
#include "model/peers/text_family.hpp"

namespace vlalign {
namespace {

TextConfig read_gpt2(JsonSection& section) {
  TextConfig config;
  config.context_length = section.positive("n_positions", 1024);
  config.vocab_size = section.positive("vocab_size", 50257);
  config.width = section.positive("n_embd", 768);
  config.heads = section.positive("n_head", 12);
  config.layers = section.positive("n_layer", 12);
  config.mlp_ratio = mlp_ratio_of(section, "n_inner", 4 * config.width, config.width);
  config.activation = activation_of(section, "activation_function", "gelu_new");
  config.norm_eps = section.number_between("layer_norm_epsilon", 1e-5, 0, 1);
  config.end_id = token_id(section, "eos_token_id", 50256);
  config.pad_id = token_id(section, "pad_token_id", config.end_id);
  config.pool = TextConfig::Pool::end_token;
  config.own_vocabulary = true;
  check(section.get<bool>("scale_attn_weights", true), "{}.scale_attn_weights: only true is built here",
        section.where());
  for (const auto* key : {"scale_attn_by_inverse_layer_idx", "reorder_and_upcast_attn", "add_cross_attention"})
    check(!section.get<bool>(key, false), "{}.{}: only false is built here", section.where(), key);
  return config;
}

/// A tower of its own kind in a folder; whole models hold it as CLIP's.
bool holds_gpt2(const TextConfig&) { return false; }
nlohmann::json write_gpt2(const TextConfig& text) { return text_json(text); }

NamingSchemes schemes_gpt2(const TextConfig&) {
  return {{.scope = "",
           .renames = {{"transformer.resblocks.", "h."},
                       {"token_embedding.", "wte."},
                       {"positional_embedding", "wpe.weight"},
                       {"ln_final.", "ln_f."},
                       {".attn.in_proj_", ".attn.c_attn."},
                       {".attn.out_proj.", ".attn.c_proj."}},
           .transposed = {"in_proj_weight", "out_proj.weight", "c_fc.weight", "c_proj.weight"}}};
}

}  // namespace

const TextFamily text_gpt2{"gpt2", read_gpt2, holds_gpt2, write_gpt2, schemes_gpt2, "transformer."};

}  // namespace vlalign
