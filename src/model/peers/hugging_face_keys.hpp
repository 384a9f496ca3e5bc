// What transformers' configs have in common. What one leaves out has the default of its class there.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

#include "core/json/json_section.hpp"
#include "vlalign/config/model_config.hpp"

namespace vlalign {

// Keys of ours beside the peer's, which keeps them and goes by none: they change nothing but how a tower starts and
// trains.
constexpr auto patch_dropout_key = "patch_dropout";
constexpr auto token_std_key = "token_std";
constexpr auto scale_at_first_key = "logit_scale_init_value";
constexpr auto bias_at_first_key = "logit_bias_init_value";

/// By transformers' name; Error for one that is not built here.
Activation activation_of(JsonSection& section, const char* key, const char* fallback);
/// transformers' name.
std::string peers_name(Activation activation);

/// Sets a key whose value is not the one it has anyway.
void set_unless(nlohmann::json& out, const char* key, const nlohmann::json& value, const nlohmann::json& usual);

/// A section that a config may leave out.
JsonSection optional_section(JsonSection& parent, const char* key);

/// From the hidden width that a key gives.
double mlp_ratio_of(JsonSection& section, const char* key, std::int64_t fallback, std::int64_t width);
/// A dropout's probability.
double dropout_of(JsonSection& section, const char* key, double fallback);
std::int64_t token_id(JsonSection& text, const char* key, std::int64_t fallback);
void check_channels(JsonSection& vision);
int image_size_of(JsonSection& vision, int fallback);

/// What a class of vision configs says where a file doesn't.
struct VitDefaults {
  std::int64_t width, mlp_width, layers, heads, patch_size;
  const char* activation;
  double norm_eps;
};
/// The keys that all of transformers' ViTs share.
VitConfig vit_of(JsonSection& vision, const VitDefaults& usual);
nlohmann::json vit_json(const VitConfig& vit, int image_size);

/// What a class of text configs says where a file doesn't.
struct TextDefaults {
  std::int64_t vocab, context, width, heads;
  const char* activation;
  double norm_eps;
};
/// The keys that most of transformers' text towers share.
TextConfig text_of(JsonSection& text, const TextDefaults& usual);
nlohmann::json text_json(const TextConfig& text);

}  // namespace vlalign
