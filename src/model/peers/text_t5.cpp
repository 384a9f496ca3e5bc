// transformers' T5EncoderModel and MT5EncoderModel, alone and in their encoder-decoders.
#include "config/config_fields.hpp"
#include "core/check.hpp"
#include "model/peers/hugging_face_keys.hpp"
#include "model/peers/text_family.hpp"

namespace vlalign {
namespace {

using nlohmann::json;

struct T5Defaults {
  std::int64_t vocab, hidden, layers, heads;
  const char* mlp;
};

constexpr double t5_token_std = 1;
constexpr auto t5_gated = "gated-";

/// "relu", or "gated-" and an activation; "gated-gelu" means the tanh approximation.
void read_t5_mlp(JsonSection& section, const char* usual, TextConfig& config) {
  const auto name = section.get<std::string>("feed_forward_proj", usual);
  const bool gated = name.starts_with(t5_gated);
  const auto act = gated ? name.substr(std::string_view(t5_gated).size()) : name;
  const json spelled{{"feed_forward_proj", gated && act == "gelu" ? "gelu_new" : act}};
  JsonSection named(spelled, section.where());
  config.activation = activation_of(named, "feed_forward_proj", "relu");
  config.block.mlp = gated ? BlockConfig::Mlp::gated : BlockConfig::Mlp::plain;
}

TextConfig read_t5_with(JsonSection& section, const T5Defaults& usual) {
  TextConfig config;
  config.architecture = TextConfig::Architecture::t5;
  config.positions = TextConfig::Positions::relative;
  config.context_length = section.positive("n_positions", 512);
  config.vocab_size = section.positive("vocab_size", usual.vocab);
  config.width = section.positive("d_model", 512);
  config.heads = section.positive("num_heads", usual.heads);
  config.head_width = section.positive("d_kv", 64);
  config.layers = section.count("num_layers", usual.layers);
  config.mlp_ratio = mlp_ratio_of(section, "d_ff", usual.hidden, config.width);
  config.norm_eps = section.number_between("layer_norm_epsilon", 1e-6, 0, 1);
  config.relative_buckets = section.positive("relative_attention_num_buckets", 32);
  config.relative_distance = section.positive("relative_attention_max_distance", 128);
  config.pad_id = token_id(section, "pad_token_id", 0);
  config.end_id = token_id(section, "eos_token_id", 1);
  config.token_std = section.number_between(token_std_key, t5_token_std, 0, 100);
  config.pool = TextConfig::Pool::mean;
  config.causal = false;
  config.own_vocabulary = true;
  auto& block = config.block;
  block.norm = BlockConfig::Norm::rms;
  block.qkv_bias = BlockConfig::QkvBias::none;
  block.attention_bias = block.mlp_bias = false;
  read_t5_mlp(section, usual.mlp, config);
  return config;
}

TextConfig read_t5(JsonSection& section) { return read_t5_with(section, {32128, 2048, 6, 8, "relu"}); }
TextConfig read_mt5(JsonSection& section) { return read_t5_with(section, {250112, 1024, 8, 6, "gated-gelu"}); }

json write_t5(const TextConfig& text) {
  const bool gated = text.block.mlp == BlockConfig::Mlp::gated;
  const bool tanh = text.activation == Activation::gelu_tanh;
  json out{{"n_positions", text.context_length},
           {"vocab_size", text.vocab_size},
           {"d_model", text.width},
           {"num_heads", text.heads},
           {"d_kv", text.head_width},
           {"num_layers", text.layers},
           {"d_ff", mlp_width(text.width, text.mlp_ratio)},
           {"layer_norm_epsilon", text.norm_eps},
           {"relative_attention_num_buckets", text.relative_buckets},
           {"relative_attention_max_distance", text.relative_distance},
           {"pad_token_id", text.pad_id},
           {"eos_token_id", text.end_id},
           {"feed_forward_proj",
            gated ? t5_gated + (tanh ? "gelu" : peers_name(text.activation)) : peers_name(text.activation)}};
  set_unless(out, token_std_key, text.token_std, t5_token_std);
  return out;
}

bool holds_t5(const TextConfig& text) { return text.architecture == TextConfig::Architecture::t5; }

NamingSchemes schemes_t5(const TextConfig& text) {
  NamingScheme scheme{
      .scope = "",
      .renames = {{"transformer.resblocks.", "block."},
                  {"token_embedding.", "embed_tokens."},
                  {"relative_attention_bias.", "block.0.layer.0.SelfAttention.relative_attention_bias."},
                  {"ln_final.", "final_layer_norm."},
                  {".ln_1.", ".layer.0.layer_norm."},
                  {".ln_2.", ".layer.1.layer_norm."},
                  {".attn.out_proj.", ".layer.0.SelfAttention.o."},
                  {".mlp.c_proj.", ".layer.1.DenseReluDense.wo."}},
      .fused = {{".attn.in_proj_",
                 3,
                 {{".layer.0.SelfAttention.q.", 0, 1},
                  {".layer.0.SelfAttention.k.", 1, 1},
                  {".layer.0.SelfAttention.v.", 2, 1}}}}};
  if (text.block.mlp == BlockConfig::Mlp::gated) {
    scheme.fused.push_back(
        {".mlp.c_fc.", 2, {{".layer.1.DenseReluDense.wi_0.", 0, 1}, {".layer.1.DenseReluDense.wi_1.", 1, 1}}});
  } else {
    scheme.renames.push_back({".mlp.c_fc.", ".layer.1.DenseReluDense.wi."});
  }
  return {scheme};
}

}  // namespace

const TextFamily text_t5{"t5", read_t5, holds_t5, write_t5, schemes_t5, "encoder.", "embed_tokens.weight"};
const TextFamily text_mt5{"mt5", read_mt5, holds_t5, write_t5, schemes_t5, "encoder.", "embed_tokens.weight"};

}  // namespace vlalign
