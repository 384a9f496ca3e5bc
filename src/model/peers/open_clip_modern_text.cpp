#include "model/peers/open_clip_modern_text.hpp"

#include <utility>

#include "core/check.hpp"

namespace vlalign {
namespace {

using nlohmann::json;

struct ModernMlp {
  const char* name;
  BlockConfig::Mlp kind;
  Activation activation;
};
constexpr ModernMlp modern_mlps[] = {{"swiglu", BlockConfig::Mlp::gated_last, Activation::silu},
                                     {"mlp", BlockConfig::Mlp::plain, Activation::gelu},
                                     {"relu2", BlockConfig::Mlp::plain, Activation::relu_squared}};

constexpr std::pair<const char*, TextConfig::Pool> modern_pools[] = {{"argmax", TextConfig::Pool::end_token},
                                                                     {"eos", TextConfig::Pool::end_token},
                                                                     {"mean", TextConfig::Pool::mean},
                                                                     {"map", TextConfig::Pool::attention}};

TextConfig::Pool modern_pool_of(JsonSection& text) {
  const auto name = text.get<std::string>("pool_type", "argmax");
  for (const auto& [known, pool] : modern_pools) {
    if (name != known) continue;
    check(pool != TextConfig::Pool::end_token || text.has("eos_id"), "{}.eos_id is missing: pool_type {} goes by it",
          text.where(), name);
    return pool;
  }
  fail("{}.pool_type: eos, mean or map with text_arch modern, got {}", text.where(), name);
}

/// One of two words, the first where the key is missing; whether it is the second.
bool is_second(JsonSection& text, const char* key, const char* first, const char* second) {
  const auto word = text.get<std::string>(key, first);
  check(word == first || word == second, "{}.{}: {} or {}, got {}", text.where(), key, first, second, word);
  return word == second;
}

void read_modern_mlp(JsonSection& text, TextConfig& config) {
  const auto name = text.get<std::string>("mlp_type", "swiglu");
  for (const auto& known : modern_mlps) {
    if (name != known.name) continue;
    config.block.mlp = known.kind, config.activation = known.activation;
    return;
  }
  fail("{}.mlp_type: swiglu, mlp or relu2, got {}", text.where(), name);
}

BlockConfig read_modern_block(JsonSection& text) {
  BlockConfig block;
  const bool bias = text.get<bool>("attention_bias", false);
  const bool sandwich = is_second(text, "norm_placement", "pre", "sandwich");
  block.norm = is_second(text, "norm_type", "rmsnorm", "layernorm") ? BlockConfig::Norm::layer : BlockConfig::Norm::rms;
  block.qkv_bias = bias ? BlockConfig::QkvBias::all : BlockConfig::QkvBias::none;
  block.attention_bias = bias;
  block.mlp_bias = text.get<bool>("mlp_bias", false);
  block.head_norms = text.get<bool>("qk_norm", false);
  block.attention_norm = block.mlp_norm = sandwich;
  block.gate = text.get<bool>("attn_gated", false);
  block.gate_bias = text.get<bool>("gate_bias", bias);
  return block;
}

const char* modern_mlp_name(const TextConfig& text) {
  for (const auto& known : modern_mlps) {
    if (text.block.mlp == known.kind && text.activation == known.activation) return known.name;
  }
  fail("open_clip's modern text tower has no such MLP: its activation and gate are another's");
}

}  // namespace

TextConfig read_modern_text(JsonSection& text) {
  text.ignore({"bos_id", "variable_text", "zero_init_residual"});  // its batches' length, and how it starts
  check(!text.is_null("pad_id"), "{}.pad_id: null is not built here, padding must have an id", text.where());
  const auto positions = text.get<std::string>("pos_embed", "rope");
  check(positions == "rope" || positions == "none" || positions.empty(), "{}.pos_embed: rope or none, got {}",
        text.where(), positions);
  TextConfig config;
  config.architecture = TextConfig::Architecture::modern;
  config.context_length = text.positive("context_length", 77);
  config.vocab_size = text.positive("vocab_size", 49408);
  config.width = text.positive("width", 512);
  config.heads = text.positive("heads", 8);
  config.layers = text.count("layers", 12);
  config.mlp_ratio = text.number_between("mlp_ratio", 4.0, 0, 64);
  config.norm_eps = text.number_between("norm_eps", 1e-6, 0, 1);
  config.pool = modern_pool_of(text);
  config.causal = !is_second(text, "attention_mode", "causal", "bidirectional");
  config.pad_id = text.get<std::int64_t>("pad_id", 0);
  config.end_id = text.get<std::int64_t>("eos_id", config.end_id);
  if (text.has("ls_init_value")) config.layer_scale = text.require<double>("ls_init_value");
  config.token_std = text.number_between("token_std", 0.02, 0, 100);
  config.positions = positions == "rope" ? TextConfig::Positions::rotary : TextConfig::Positions::none;
  config.rotary_temperature = text.number_between("rope_temperature", 10000, 1e-3, 1e12);
  config.registers = text.count("reg_tokens", 0);
  config.ln_pre = text.get<bool>("pre_norm", false);
  config.block = read_modern_block(text);
  read_modern_mlp(text, config);
  if (text.get<std::string>("tokenizer_type", "") == "tiktoken")
    config.tiktoken = text.get<std::string>("tiktoken_name", "cl100k_base");
  return config;
}

json modern_text_json(const TextConfig& text) {
  const auto& block = text.block;
  json out{{"text_arch", modern_text_arch},
           {"context_length", text.context_length},
           {"vocab_size", text.vocab_size},
           {"width", text.width},
           {"heads", text.heads},
           {"layers", text.layers},
           {"mlp_ratio", text.mlp_ratio},
           {"norm_eps", text.norm_eps},
           {"attention_mode", text.causal ? "causal" : "bidirectional"},
           {"pos_embed", text.positions == TextConfig::Positions::rotary ? "rope" : "none"},
           {"mlp_type", modern_mlp_name(text)},
           {"norm_type", block.norm == BlockConfig::Norm::rms ? "rmsnorm" : "layernorm"},
           {"qk_norm", block.head_norms},
           {"attn_gated", block.gate},
           {"pad_id", text.pad_id},
           {"eos_id", text.end_id}};
  const auto put = [&](const char* key, const json& value, const json& usual) {
    if (value != usual) out[key] = value;
  };
  put("rope_temperature", text.rotary_temperature, 10000.0);
  put("reg_tokens", text.registers, 0);
  put("pre_norm", text.ln_pre, false);
  put("norm_placement", block.attention_norm ? "sandwich" : "pre", "pre");
  put("attention_bias", block.attention_bias, false);
  put("mlp_bias", block.mlp_bias, false);
  put("gate_bias", block.gate_bias, block.attention_bias);
  put("token_std", text.token_std, TextConfig{}.token_std);
  if (text.layer_scale) out["ls_init_value"] = *text.layer_scale;
  if (text.tiktoken.empty()) return out;
  out["tokenizer_type"] = "tiktoken";
  out["tiktoken_name"] = text.tiktoken;
  out["bos_id"] = text.pad_id + 1;  // open_clip's tokenizer gives the ids behind the vocabulary in this order
  out["variable_text"] = true;
  return out;
}

NamingScheme modern_text_scheme(const TextConfig& text) {
  NamingScheme scheme{.scope = "text.",
                      .renames = {{"transformer.resblocks.", "blocks."},
                                  {".ln_1.", ".norm1."},
                                  {".ln_2.", ".norm2."},
                                  {".ln_attn.", ".norm1_post."},
                                  {".ln_mlp.", ".norm2_post."},
                                  {".ls_1.", ".ls1."},
                                  {".ls_2.", ".ls2."},
                                  {".attn.in_proj_", ".attn.qkv."},
                                  {".attn.out_proj.", ".attn.proj."},
                                  {".attn.ln_q.", ".attn.q_norm."},
                                  {".attn.ln_k.", ".attn.k_norm."},
                                  {"text.ln_pre.", "text.norm_pre."},
                                  {"text.registers", "text.reg_tokens"}},
                      .leading_ones = {{"text.registers", 1}, {"pool.query", 2}}};
  if (text.block.mlp != BlockConfig::Mlp::plain) {
    scheme.renames.push_back({".mlp.c_fc.", ".mlp.w12."});
    scheme.renames.push_back({".mlp.c_proj.", ".mlp.w3."});
  }
  return scheme;
}

}  // namespace vlalign
