#include "model/peers/hugging_face_keys.hpp"

#include "config/config_fields.hpp"

namespace vlalign {
namespace {

using nlohmann::json;

constexpr std::pair<const char*, Activation> activations[] = {{"gelu", Activation::gelu},
                                                              {"quick_gelu", Activation::quick_gelu},
                                                              {"gelu_pytorch_tanh", Activation::gelu_tanh},
                                                              {"gelu_new", Activation::gelu_tanh},
                                                              {"silu", Activation::silu},
                                                              {"swish", Activation::silu},
                                                              {"relu", Activation::relu}};

constexpr auto attention_dropout_key = "attention_dropout";

}  // namespace

Activation activation_of(JsonSection& section, const char* key, const char* fallback) {
  const auto name = section.get<std::string>(key, fallback);
  for (const auto& [known, activation] : activations) {
    if (name == known) return activation;
  }
  fail("{}.{}: gelu, quick_gelu, gelu_pytorch_tanh, gelu_new, silu, swish or relu, got {}", section.where(), key, name);
}

std::string peers_name(Activation activation) {
  for (const auto& [name, known] : activations) {
    if (known == activation) return name;
  }
  fail("unknown activation");
}

void set_unless(json& out, const char* key, const json& value, const json& usual) {
  if (value != usual) out[key] = value;
}

/// A section that a config may leave out.
JsonSection optional_section(JsonSection& parent, const char* key) {
  static const json nothing = json::object();
  return parent.has(key) ? parent.section(key) : JsonSection(nothing, parent.where() + "." + key);
}

double mlp_ratio_of(JsonSection& section, const char* key, std::int64_t fallback, std::int64_t width) {
  constexpr std::int64_t largest = 64;
  const auto hidden = section.positive(key, fallback);
  check(hidden <= largest * width, "{}.{}: expected at most {} times the width {}, got {}", section.where(), key,
        largest, width, hidden);
  return static_cast<double>(hidden) / static_cast<double>(width);
}

double dropout_of(JsonSection& section, const char* key, double fallback) {
  return section.number_between(key, fallback, 0, 0.999);
}

std::int64_t token_id(JsonSection& text, const char* key, std::int64_t fallback) {
  const auto id = text.get(key, fallback);
  check(id >= 0 && id <= (1 << 24), "{}.{}: expected an id, got {}", text.where(), key, id);
  return id;
}

void check_channels(JsonSection& vision) {
  check(vision.get<std::int64_t>("num_channels", 3) == 3, "{}.num_channels: only 3 are built here", vision.where());
}

int image_size_of(JsonSection& vision, int fallback) {
  const auto* size = vision.find("image_size");
  return size ? image_side(*size, vision.where() + ".image_size") : fallback;
}

VitConfig vit_of(JsonSection& vision, const VitDefaults& usual) {
  check_channels(vision);
  VitConfig vit;
  vit.patch_size = vision.positive("patch_size", usual.patch_size);
  vit.width = vision.positive("hidden_size", usual.width);
  vit.layers = vision.count("num_hidden_layers", usual.layers);
  const auto heads = vision.positive("num_attention_heads", usual.heads);
  check(vit.width % heads == 0, "{}: hidden_size {} is not a multiple of num_attention_heads {}", vision.where(),
        vit.width, heads);
  vit.head_width = vit.width / heads;
  vit.mlp_ratio = mlp_ratio_of(vision, "intermediate_size", usual.mlp_width, vit.width);
  vit.activation = activation_of(vision, "hidden_act", usual.activation);
  vit.norm_eps = vision.number_between("layer_norm_eps", usual.norm_eps, 0, 1);
  vit.patch_dropout = vision.number_between(patch_dropout_key, 0, 0, 0.999);
  vit.block.attention_dropout = dropout_of(vision, attention_dropout_key, 0);
  return vit;
}

json vit_json(const VitConfig& vit, int image_size) {
  json out{{"hidden_size", vit.width},
           {"intermediate_size", mlp_width(vit.width, vit.mlp_ratio)},
           {"num_hidden_layers", vit.layers},
           {"num_attention_heads", vit.width / vit.head_width},
           {"num_channels", 3},
           {"image_size", image_size},
           {"patch_size", vit.patch_size},
           {"hidden_act", peers_name(vit.activation)},
           {"layer_norm_eps", vit.norm_eps}};
  set_unless(out, patch_dropout_key, vit.patch_dropout, 0.0);
  set_unless(out, attention_dropout_key, vit.block.attention_dropout, 0.0);
  return out;
}

TextConfig text_of(JsonSection& text, const TextDefaults& usual) {
  TextConfig config;
  config.context_length = text.positive("max_position_embeddings", usual.context);
  config.vocab_size = text.positive("vocab_size", usual.vocab);
  config.width = text.positive("hidden_size", usual.width);
  config.heads = text.positive("num_attention_heads", usual.heads);
  config.layers = text.count("num_hidden_layers", 12);
  config.mlp_ratio = mlp_ratio_of(text, "intermediate_size", 4 * usual.width, config.width);
  config.activation = activation_of(text, "hidden_act", usual.activation);
  config.norm_eps = text.number_between("layer_norm_eps", usual.norm_eps, 0, 1);
  config.block.attention_dropout = dropout_of(text, attention_dropout_key, 0);
  config.own_vocabulary = true;
  return config;
}

json text_json(const TextConfig& text) {
  json out{{"vocab_size", text.vocab_size},
           {"hidden_size", text.width},
           {"intermediate_size", mlp_width(text.width, text.mlp_ratio)},
           {"num_hidden_layers", text.layers},
           {"num_attention_heads", text.heads},
           {"max_position_embeddings", text.context_length},
           {"hidden_act", peers_name(text.activation)},
           {"layer_norm_eps", text.norm_eps},
           {"pad_token_id", text.pad_id}};
  set_unless(out, attention_dropout_key, text.block.attention_dropout, 0.0);
  set_unless(out, token_std_key, text.token_std, TextConfig{}.token_std);
  return out;
}

}  // namespace vlalign
