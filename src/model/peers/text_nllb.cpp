// transformers' M2M100Encoder in its encoder-decoders: NLLB and M2M-100.
#include "config/config_fields.hpp"
#include "core/check.hpp"
#include "model/peers/hugging_face_family.hpp"
#include "model/peers/hugging_face_keys.hpp"
#include "model/peers/text_family.hpp"

namespace vlalign {
namespace {

using nlohmann::json;

TextConfig read_nllb(JsonSection& section) {
  TextConfig config;
  config.architecture = TextConfig::Architecture::nllb;
  config.positions = TextConfig::Positions::sines;
  config.context_length = section.positive("max_position_embeddings", 1024);
  config.vocab_size = section.positive("vocab_size", 128112);
  config.width = section.positive("d_model", 1024);
  config.heads = section.positive("encoder_attention_heads", 16);
  config.layers = section.count("encoder_layers", 12);
  config.mlp_ratio = mlp_ratio_of(section, "encoder_ffn_dim", 4096, config.width);
  config.activation = activation_of(section, "activation_function", "relu");
  config.pad_id = token_id(section, "pad_token_id", 1);
  config.end_id = token_id(section, "eos_token_id", 2);
  config.token_std = section.number_between(token_std_key, config.token_std, 0, 100);
  config.pool = TextConfig::Pool::first;
  config.causal = false;
  config.own_vocabulary = true;
  check(section.get<bool>("scale_embedding", true), "{}.scale_embedding: only true is built here", section.where());
  return config;
}

json write_nllb(const TextConfig& text) {
  json out{{"max_position_embeddings", text.context_length},
           {"vocab_size", text.vocab_size},
           {"d_model", text.width},
           {"encoder_attention_heads", text.heads},
           {"encoder_layers", text.layers},
           {"encoder_ffn_dim", mlp_width(text.width, text.mlp_ratio)},
           {"activation_function", peers_name(text.activation)},
           {"pad_token_id", text.pad_id},
           {"eos_token_id", text.end_id},
           {"scale_embedding", true}};
  set_unless(out, token_std_key, text.token_std, TextConfig{}.token_std);
  return out;
}

bool holds_nllb(const TextConfig& text) { return text.architecture == TextConfig::Architecture::nllb; }

NamingSchemes schemes_nllb(const TextConfig&) {
  return {{.scope = "",
           .renames = {{"transformer.resblocks.", "layers."},
                       {"token_embedding.", "embed_tokens."},
                       {"ln_final.", "layer_norm."},
                       {".ln_1.", ".self_attn_layer_norm."},
                       {".ln_2.", ".final_layer_norm."},
                       {".attn.out_proj.", ".self_attn.out_proj."},
                       {".mlp.c_fc.", ".fc1."},
                       {".mlp.c_proj.", ".fc2."}},
           .fused = {hugging_face_qkv()}}};
}

}  // namespace

const TextFamily text_nllb{"m2m_100",    read_nllb,  holds_nllb,           write_nllb,
                           schemes_nllb, "encoder.", "embed_tokens.weight"};

}  // namespace vlalign
