#include "config/config_fields.hpp"

#include <algorithm>
#include <array>
#include <cmath>

#include "core/check.hpp"

namespace vlalign {
namespace {

// Each enumeration's names, in its order.
constexpr std::array activation_names{"gelu", "quick_gelu", "gelu_tanh", "silu", "relu", "relu_squared"};
constexpr std::array norm_names{"layer", "rms"};
constexpr std::array placement_names{"before", "behind_sum", "behind_branch"};
constexpr std::array qkv_bias_names{"all", "all_but_keys", "none"};
constexpr std::array mlp_names{"plain", "gated", "gated_last"};
constexpr std::array coordinates_names{"steps", "normalized"};
constexpr std::array positions_names{"learned", "sines", "none"};
constexpr std::array position_resize_names{"bicubic_antialiased", "bicubic", "bilinear_antialiased"};
constexpr std::array front_names{"patches", "vitamin", "mobile_clip"};
constexpr std::array text_positions_names{"learned", "learned_from_padding", "sines", "relative", "rotary", "none"};
constexpr std::array vit_pool_names{"token", "average", "attention", "query"};
constexpr std::array text_pool_names{"largest_id", "end_token", "first", "last", "mean", "max", "pooler", "attention"};
constexpr std::array architecture_names{"clip", "bert", "t5", "nllb", "modern"};
constexpr std::array resize_names{"shortest", "squash"};
constexpr std::array interpolation_names{"bicubic", "bilinear"};
constexpr std::array pixels_names{"vlalign", "peer"};

template <typename Enum, std::size_t N>
std::string_view name_in(const std::array<const char*, N>& names, Enum value) {
  const auto place = static_cast<std::size_t>(value);
  return place < N ? names[place] : "no value of the enumeration";
}

std::string_view name_of(BlockConfig::Norm norm) { return name_in(norm_names, norm); }
std::string_view name_of(BlockConfig::Placement placement) { return name_in(placement_names, placement); }
std::string_view name_of(BlockConfig::QkvBias bias) { return name_in(qkv_bias_names, bias); }
std::string_view name_of(BlockConfig::Mlp mlp) { return name_in(mlp_names, mlp); }
std::string_view name_of(RotaryConfig::Coordinates coordinates) { return name_in(coordinates_names, coordinates); }
std::string_view name_of(VitConfig::Positions positions) { return name_in(positions_names, positions); }
std::string_view name_of(VitConfig::PositionResize how) { return name_in(position_resize_names, how); }
std::string_view name_of(VitConfig::Front front) { return name_in(front_names, front); }
std::string_view name_of(TextConfig::Positions positions) { return name_in(text_positions_names, positions); }
std::string_view name_of(VitConfig::Pool pool) { return name_in(vit_pool_names, pool); }
std::string_view name_of(TextConfig::Pool pool) { return name_in(text_pool_names, pool); }
std::string_view name_of(TextConfig::Architecture kind) { return name_in(architecture_names, kind); }
std::string_view name_of(Preprocess::Resize resize) { return name_in(resize_names, resize); }
std::string_view name_of(PixelsAs pixels) { return name_in(pixels_names, pixels); }
std::string_view name_of(Interpolation interpolation) { return name_in(interpolation_names, interpolation); }

/// Collects what the functions below take apart. They do so by structured bindings, which name every member of a
/// struct: a new member doesn't compile until it stands here too.
class Collector {
 public:
  template <typename T>
  void add(const std::string& name, const T& value) {
    if constexpr (std::is_enum_v<T>) {
      fields_.push_back({prefix_ + name, std::string(name_of(value))});
    } else if constexpr (std::is_same_v<T, bool>) {
      fields_.push_back({prefix_ + name, value ? "true" : "false"});
    } else {
      fields_.push_back({prefix_ + name, static_cast<double>(value)});
    }
  }
  void add(const std::string& name, const std::string& value) { fields_.push_back({prefix_ + name, value}); }
  void add(const std::string& name, const std::optional<double>& value) {
    value ? add(name, *value) : add(name, std::string("none"));
  }
  void add(const std::string& name, const std::vector<std::int64_t>& values) {
    add(name, fmt::format("[{}]", fmt::join(values, ", ")));
  }
  void add(const std::string& name, const std::array<double, 3>& values) {
    for (std::size_t i = 0; i < values.size(); ++i) add(fmt::format("{}[{}]", name, i), values[i]);
  }

  void begin(std::string prefix) { prefix_ = std::move(prefix); }
  std::vector<ConfigField> take() { return std::move(fields_); }

 private:
  std::string prefix_;
  std::vector<ConfigField> fields_;
};

constexpr auto kind = "kind";
constexpr auto hidden = "width * mlp_ratio";

void collect(const BlockConfig& c, Collector& out) {
  const auto& [norm, placement, mlp, qkv_bias, attention_bias, mlp_bias, head_norms, inner_norm, attention_norm,
               mlp_input_norm, mlp_inner_norm, mlp_norm, cosine_attention, head_scales, gate, gate_bias, dropout,
               attention_dropout, drop_path] = c;
  out.add("norm", norm), out.add("placement", placement), out.add("mlp", mlp), out.add("qkv_bias", qkv_bias);
  out.add("attention_bias", attention_bias), out.add("mlp_bias", mlp_bias), out.add("head_norms", head_norms);
  out.add("inner_norm", inner_norm), out.add("attention_norm", attention_norm);
  out.add("mlp_input_norm", mlp_input_norm);
  out.add("mlp_inner_norm", mlp_inner_norm), out.add("mlp_norm", mlp_norm);
  out.add("cosine_attention", cosine_attention), out.add("head_scales", head_scales);
  out.add("gate", gate), out.add("gate_bias", gate_bias), out.add("dropout", dropout);
  out.add("attention_dropout", attention_dropout), out.add("drop_path", drop_path);
}

void collect(const std::optional<RotaryConfig>& c, Collector& out) {
  out.add("rotary", c.has_value());
  if (!c) return;
  const auto& [coordinates, temperature, offset, reference, columns_first, halves] = *c;
  out.add("rotary.coordinates", coordinates), out.add("rotary.temperature", temperature);
  out.add("rotary.offset", offset), out.add("rotary.reference", reference);
  out.add("rotary.columns_first", columns_first), out.add("rotary.halves", halves);
}

void collect(const VitConfig& c, Collector& out) {
  const auto& [patch_size, stem, front, front_widths, front_layers, width, layers, head_width, mlp_ratio, activation,
               norm_eps, pool, class_token, patch_bias, ln_pre, norm_after_pool, positions, position_side,
               position_resize, class_position, rotary, registers, layer_scale, most_patches, patch_dropout,
               pool_queries, pool_heads, pool_mlp_ratio, block] = c;
  out.add(kind, std::string("Vit"));
  out.add("patch_size", patch_size), out.add("stem", stem), out.add("front", front);
  out.add("front_widths", front_widths), out.add("front_layers", front_layers);
  out.add("width", width), out.add("layers", layers);
  out.add("head_width", head_width), out.add(hidden, mlp_width(width, mlp_ratio));
  out.add("activation", activation), out.add("norm_eps", norm_eps), out.add("pool", pool);
  out.add("class_token", class_token), out.add("patch_bias", patch_bias), out.add("ln_pre", ln_pre);
  out.add("norm_after_pool", norm_after_pool), out.add("positions", positions);
  out.add("position_side", position_side), out.add("position_resize", position_resize);
  out.add("class_position", class_position), collect(rotary, out), out.add("registers", registers);
  out.add("layer_scale", layer_scale), out.add("most_patches", most_patches);
  out.add("patch_dropout", patch_dropout);
  out.add("pool_queries", pool_queries), out.add("pool_heads", pool_heads);
  out.add("pool_mlp_ratio", pool_mlp_ratio), collect(block, out);
}

void collect(const ModifiedResNetConfig& c, Collector& out) {
  const auto& [layers, width, head_width] = c;
  out.add(kind, std::string("ModifiedResNet"));
  out.add("layers", layers), out.add("width", width), out.add("head_width", head_width);
}

void collect(const ResNetConfig& c, Collector& out) {
  const auto& [layers, bottleneck, width] = c;
  out.add(kind, std::string("ResNet"));
  out.add("layers", layers), out.add("bottleneck", bottleneck), out.add("width", width);
}

void collect(const EfficientNetConfig& c, Collector& out) {
  const auto& [width_coefficient, depth_coefficient, depth_divisor, kernel_sizes, in_channels, out_channels, strides,
               num_block_repeats, expand_ratios, depthwise_padding, squeeze_expansion_ratio, hidden_dim, norm_eps,
               norm_momentum] = c;
  out.add(kind, std::string("EfficientNet"));
  out.add("width_coefficient", width_coefficient), out.add("depth_coefficient", depth_coefficient);
  out.add("depth_divisor", depth_divisor), out.add("kernel_sizes", kernel_sizes);
  out.add("in_channels", in_channels), out.add("out_channels", out_channels), out.add("strides", strides);
  out.add("num_block_repeats", num_block_repeats), out.add("expand_ratios", expand_ratios);
  out.add("depthwise_padding", depthwise_padding), out.add("squeeze_expansion_ratio", squeeze_expansion_ratio);
  out.add("hidden_dim", hidden_dim), out.add("norm_eps", norm_eps), out.add("norm_momentum", norm_momentum);
}

void collect(const ConvNextConfig& c, Collector& out) {
  const auto& [layers, widths, norm_eps, layer_scale, drop_path] = c;
  out.add(kind, std::string("ConvNext"));
  out.add("layers", layers), out.add("widths", widths), out.add("norm_eps", norm_eps);
  out.add("layer_scale", layer_scale), out.add("drop_path", drop_path);
}

void collect(const FastVitConfig& c, Collector& out) {
  const auto& [layers, widths, mlp_ratio, attention_stages, squeeze_downsamples, layer_norm, stem_scale_branch,
               layer_scale, drop_path, folded] = c;
  out.add(kind, std::string("FastVit"));
  out.add("layers", layers), out.add("widths", widths), out.add("mlp_ratio", mlp_ratio);
  out.add("attention_stages", attention_stages), out.add("squeeze_downsamples", squeeze_downsamples);
  out.add("layer_norm", layer_norm), out.add("stem_scale_branch", stem_scale_branch);
  out.add("layer_scale", layer_scale), out.add("drop_path", drop_path), out.add("folded", folded);
}

void collect(const OwnTowers&, Collector& out) { out.add(kind, std::string("OwnTowers")); }

void collect(const TextConfig& c, Collector& out) {
  const auto& [architecture, context_length, vocab_size, width, heads, layers, mlp_ratio, activation, norm_eps, pool,
               causal, pad_id, end_id, layer_scale, token_std, class_embedding, token_types, positions, head_width,
               relative_buckets, relative_distance, rotary_temperature, registers, ln_pre, peer_name, tiktoken, pooler,
               position_rows, cleaning, strip_separator, block, own_vocabulary, keeps_rows] = c;
  out.add("architecture", architecture), out.add("context_length", context_length);
  out.add("vocab_size", vocab_size), out.add("width", width), out.add("heads", heads), out.add("layers", layers);
  out.add(hidden, mlp_width(width, mlp_ratio)), out.add("activation", activation), out.add("norm_eps", norm_eps);
  out.add("pool", pool), out.add("causal", causal), out.add("pad_id", pad_id), out.add("end_id", end_id);
  out.add("layer_scale", layer_scale), out.add("token_std", token_std), out.add("class_embedding", class_embedding);
  out.add("positions", positions), out.add("head_width", head_width);
  out.add("relative_buckets", relative_buckets), out.add("relative_distance", relative_distance);
  out.add("rotary_temperature", rotary_temperature), out.add("registers", registers), out.add("ln_pre", ln_pre);
  out.add("peer_name", peer_name), out.add("tiktoken", tiktoken);
  out.add("token_types", token_types), out.add("pooler", pooler), out.add("cleaning", cleaning);
  out.add("position_rows", position_rows);
  out.add("strip_separator", strip_separator), out.add("own_vocabulary", own_vocabulary);
  collect(block, out);
}

void collect(const ProjectionConfig& c, Collector& out) {
  const auto& [present, bias, hidden_width, hidden_bias, of_tower] = c;
  out.add("present", present), out.add("bias", bias), out.add("hidden", hidden_width);
  out.add("hidden_bias", hidden_bias), out.add("of_tower", of_tower);
}

void collect(const ScaleConfig& c, Collector& out) {
  const auto& [temperature, initial, bias] = c;
  out.add("temperature", temperature), out.add("initial", initial), out.add("bias", bias);
}

void collect(const Preprocess& c, Collector& out) {
  const auto& [image_size, resize_size, resize, interpolation, crop_rounds_down, mean, std, pixels_as] = c;
  out.add("image_size", image_size), out.add("resize_size", resize_size), out.add("resize", resize);
  out.add("interpolation", interpolation), out.add("crop_rounds_down", crop_rounds_down);
  out.add("mean", mean), out.add("std", std), out.add("pixels_as", pixels_as);
}

bool alike(const ConfigField& a, const ConfigField& b) {
  const auto* x = std::get_if<double>(&a.value);
  const auto* y = std::get_if<double>(&b.value);
  if (!x || !y) return a.value == b.value;
  return *x == *y || std::abs(*x - *y) <= 1e-9 * std::max(std::abs(*x), std::abs(*y));
}

}  // namespace

std::string_view name_of(Activation activation) { return name_in(activation_names, activation); }

ModelConfig computation_of(ModelConfig config) {
  const auto presence = [](std::optional<double>& value) {
    if (value) value = 1.0;
  };
  const auto draw_nothing = [](BlockConfig& block) { block.dropout = block.attention_dropout = block.drop_path = 0; };
  if (auto* vit = std::get_if<VitConfig>(&config.vision)) {
    vit->patch_dropout = 0;
    draw_nothing(vit->block);
    presence(vit->layer_scale);
  }
  if (auto* net = std::get_if<ConvNextConfig>(&config.vision)) presence(net->layer_scale), net->drop_path = 0;
  if (auto* net = std::get_if<FastVitConfig>(&config.vision)) presence(net->layer_scale), net->drop_path = 0;
  if (auto* net = std::get_if<EfficientNetConfig>(&config.vision)) {
    net->hidden_dim = EfficientNetConfig{}.hidden_dim;
    net->norm_momentum = EfficientNetConfig{}.norm_momentum;
  }
  auto& text = config.text;
  const TextConfig usual;
  presence(text.layer_scale);
  draw_nothing(text.block);
  config.image_projection.of_tower = config.text_projection.of_tower = false;
  text.token_std = usual.token_std, text.pooler = usual.pooler, text.cleaning = usual.cleaning;
  text.strip_separator = usual.strip_separator, text.peer_name.clear(), text.tiktoken.clear();
  config.decoder.clear();
  text.own_vocabulary = usual.own_vocabulary, text.context_length = usual.context_length;
  text.position_rows = usual.position_rows;
  text.pad_id = usual.pad_id, text.end_id = usual.end_id;  // the tokenizer's
  if (text.pool == TextConfig::Pool::end_token)
    text.pool = TextConfig::Pool::largest_id;  // the peers' two words for it
  config.scale.initial = ScaleConfig{}.initial;
  presence(config.scale.bias);
  config.custom_text = false;
  config.preprocess.image_size = Preprocess{}.image_size, config.preprocess.resize_size = 0;
  config.preprocess.crop_rounds_down = false;
  config.preprocess.pixels_as = PixelsAs::vlalign;
  return config;
}

std::int64_t mlp_width(std::int64_t width, double ratio) {
  return static_cast<std::int64_t>(static_cast<double>(width) * ratio + 1e-6);
}

std::vector<ConfigField> fields_of(const ModelConfig& config) {
  const auto& [name, layout, custom_text, embed_dim, vision, text, image_projection, text_projection, scale, preprocess,
               decoder] = config;
  Collector out;
  out.add("custom_text", custom_text);
  out.add("embed_dim", embed_dim);
  out.add("decoder", decoder);
  out.begin("vision.");
  std::visit([&](const auto& tower) { collect(tower, out); }, vision);
  out.begin("text.");
  collect(text, out);
  out.begin("image_projection.");
  collect(image_projection, out);
  out.begin("text_projection.");
  collect(text_projection, out);
  out.begin("scale.");
  collect(scale, out);
  out.begin("preprocess.");
  collect(preprocess, out);
  return out.take();
}

std::string text_of(const ConfigField& field) {
  return std::visit([](const auto& value) { return fmt::format("{}", value); }, field.value);
}

std::optional<ConfigDifference> first_difference(const ModelConfig& a, const ModelConfig& b) {
  const auto all_a = fields_of(a), all_b = fields_of(b);
  const auto [at_a, at_b] = std::mismatch(all_a.begin(), all_a.end(), all_b.begin(), all_b.end(),
                                          [](const auto& x, const auto& y) { return x.name == y.name && alike(x, y); });
  if (at_a == all_a.end() && at_b == all_b.end()) return std::nullopt;
  if (at_a == all_a.end()) return ConfigDifference{at_b->name, "", text_of(*at_b)};
  if (at_b == all_b.end() || at_a->name != at_b->name) return ConfigDifference{at_a->name, text_of(*at_a), ""};
  return ConfigDifference{at_a->name, text_of(*at_a), text_of(*at_b)};
}

}  // namespace vlalign
