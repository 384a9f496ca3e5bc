#include "config/validate.hpp"

#include <algorithm>
#include <cmath>

#include "config/config_fields.hpp"
#include "config/weight_estimate.hpp"
#include "core/check.hpp"

namespace vlalign {
namespace {

constexpr std::int64_t largest_size = 1 << 24;  // of widths, vocabularies, contexts
constexpr std::int64_t largest_image = 8192;    // pixels a side
constexpr std::int64_t most_blocks = 1024;      // of a tower; the deepest in use has a tenth
constexpr double largest_mlp_ratio = 64;
constexpr double largest_log_scale = 50;

void check_between(const std::string& where, const char* name, std::int64_t value, std::int64_t low,
                   std::int64_t high) {
  check(value >= low && value <= high, "{} {}: expected {} to {}, got {}", where, name, low, high, value);
}

void check_size(const std::string& where, const char* name, std::int64_t value) {
  check_between(where, name, value, 1, largest_size);
}

void check_finite(const std::string& where, const char* name, double value) {
  check(std::isfinite(value), "{} {}: expected a finite number, got {}", where, name, value);
}

void check_eps(const std::string& where, double value) {
  check(value > 0 && value <= 1, "{} norm_eps: expected above 0 and up to 1, got {}", where, value);
}

template <typename Enum>
void check_known(const std::string& where, const char* name, Enum value, Enum last) {
  check(static_cast<int>(value) >= 0 && value <= last, "{} {}: {} is none of the enumeration's", where, name,
        static_cast<int>(value));
}

void check_blocks(const std::string& where, std::int64_t width, std::int64_t layers, double mlp_ratio,
                  Activation activation, double norm_eps) {
  check_size(where, "width", width);
  check_between(where, "layers", layers, 0, most_blocks);
  check(mlp_ratio > 0 && mlp_ratio <= largest_mlp_ratio && mlp_width(width, mlp_ratio) > 0,
        "{} mlp_ratio: expected above 0 and up to {}, and a hidden width of at least 1, got {}", where,
        largest_mlp_ratio, mlp_ratio);
  check_known(where, "activation", activation, Activation::relu_squared);
  check_eps(where, norm_eps);
}

void check_rotary(const RotaryConfig& config, std::int64_t head_width, const std::string& where) {
  check(head_width % 4 == 0, "{} head_width {}: rotary positions of a grid need a multiple of 4", where, head_width);
  check_known(where, "rotary coordinates", config.coordinates, RotaryConfig::Coordinates::normalized);
  check(config.temperature > 1 && config.temperature <= 1e9,
        "{} rotary temperature: expected above 1 up to 1e9, got {}", where, config.temperature);
  check_finite(where, "rotary offset", config.offset);
  check_between(where, "rotary reference", config.reference, 0, largest_image);
}

void check_pooling(const VitConfig& config, std::int64_t embed_dim, const std::string& where) {
  const bool query = config.pool == VitConfig::Pool::query;
  if (!query && config.pool != VitConfig::Pool::attention) return;
  const auto width = query ? embed_dim : config.width;
  const auto heads = pool_heads(config);
  check(width > 0 && heads > 0 && width % heads == 0, "{} pool_heads: expected a divisor of {} {}, got {}", where,
        query ? "the embedding dimension" : "the width", width, heads);
  if (query) check_size(where, "pool_queries", config.pool_queries);
  check(config.pool_mlp_ratio >= 0 && config.pool_mlp_ratio <= largest_mlp_ratio,
        "{} pool_mlp_ratio: expected 0 to {}, got {}", where, largest_mlp_ratio, config.pool_mlp_ratio);
}

/// The widths of four stages, each twice the one before.
void check_stages(const std::string& where, const std::vector<std::int64_t>& layers, std::int64_t width) {
  check(layers.size() == 4, "{} layers: expected 4 stages, got {}", where, layers.size());
  for (const auto count : layers) check_between(where, "layers", count, 1, most_blocks);
  check_size(where, "width", width);
}

void check_stem(const VitConfig& config, std::int64_t image_size, const std::string& where) {
  check(config.stem.size() <= 8, "{} stem: expected 8 convolutions at most, got {}", where, config.stem.size());
  const auto stride = std::int64_t{1} << config.stem.size();
  check(config.patch_size % stride == 0 && image_size % stride == 0,
        "{} a stem of {} convolutions needs patch_size and image_size in multiples of {}, got {} and {}", where,
        config.stem.size(), stride, config.patch_size, image_size);
  for (const auto channels : config.stem) check_size(where, "stem", channels);
}

/// Of towers on pictures of several shapes.
void check_naflex(const VitConfig& config, const std::string& where) {
  if (config.most_patches == 0) return;
  check_between(where, "most_patches", config.most_patches, 1, largest_size);
  const bool pools = config.pool == VitConfig::Pool::average || config.pool == VitConfig::Pool::attention;
  check(pools && !config.class_token,
        "{} most_patches: such a tower has no class token, and pools by average or attention", where);
  check(config.stem.empty() && config.front == VitConfig::Front::patches,
        "{} most_patches: such a tower has no stem and no other front", where);
  check(config.positions == VitConfig::Positions::learned && !config.rotary && config.position_side > 0,
        "{} most_patches: such a tower has learned positions and a position_side", where);
}

void check_clip_text(const TextConfig& config, const std::string& where) {
  check(config.token_types == TextConfig{}.token_types && !config.pooler,
        "{} token_types and pooler are BERT's; leave them off with another architecture", where);
  const bool clip = config.architecture == TextConfig::Architecture::clip;
  check(!clip || (config.positions == TextConfig::Positions::learned && config.head_width == 0),
        "{} positions and head_width: CLIP's text tower has learned positions, and heads that share its width", where);
  check(config.position_rows == 0, "{} position_rows is BERT's; leave it off with another architecture", where);
  if (config.layer_scale) check_finite(where, "layer_scale", *config.layer_scale);
}

void check_modern_text(const TextConfig& config, const std::string& where) {
  using Pool = TextConfig::Pool;
  const bool pools = config.pool == Pool::end_token || config.pool == Pool::mean || config.pool == Pool::attention;
  check(pools, "{} pool: expected end_token, mean or attention of the modern tower", where);
  const bool turns = config.positions == TextConfig::Positions::rotary;
  check(turns || config.positions == TextConfig::Positions::none,
        "{} positions: expected rotary or none of the modern tower", where);
  check(!turns || config.width / config.heads % 2 == 0, "{} width {}: rotary positions need heads of even width", where,
        config.width);
  check(config.rotary_temperature > 0 && std::isfinite(config.rotary_temperature),
        "{} rotary_temperature: expected a positive number, got {}", where, config.rotary_temperature);
  check_between(where, "registers", config.registers, 0, largest_size);
  check(config.block.attention_norm == config.block.mlp_norm &&
            config.block.qkv_bias != BlockConfig::QkvBias::all_but_keys,
        "{} block: the modern tower's norms behind the branches come in pairs, as do its biases", where);
  check(!config.class_embedding, "{} class_embedding: the modern tower has none", where);
}

void check_ids(const TextConfig& config, const std::string& where) {
  const auto last = config.vocab_size - 1;
  if (depends_on_padding(config)) check_between(where, "pad_id", config.pad_id, 0, last);
  if (config.pool == TextConfig::Pool::end_token) check_between(where, "end_id", config.end_id, 0, last);
}

void validate(const Preprocess& how, const std::string& where) {
  check_between(where, "image_size", how.image_size, 1, largest_image);
  if (how.resize_size != 0) check_between(where, "resize_size", how.resize_size, how.image_size, largest_image);
  check_known(where, "resize", how.resize, Preprocess::Resize::squash);
  check_known(where, "interpolation", how.interpolation, Interpolation::bilinear);
  check_known(where, "pixels_as", how.pixels_as, PixelsAs::peer);
  for (std::size_t c = 0; c < 3; ++c) {
    check_finite(where, "mean", how.mean[c]);
    check(how.std[c] > 0 && std::isfinite(how.std[c]) && std::isfinite(1 / how.std[c]),
          "{} std: expected positive numbers, got {}", where, how.std[c]);
  }
}

void validate(const ScaleConfig& scale, const std::string& where) {
  check(scale.initial > 0 && std::abs(std::log(scale.initial)) <= largest_log_scale,
        "{} initial: expected exp(-{}) to exp({}), got {}", where, largest_log_scale, largest_log_scale, scale.initial);
  if (scale.bias) check_finite(where, "bias", *scale.bias);
}

/// A stage takes what the one before gives.
void check_stages_join(const EfficientNetConfig& config, const std::string& where) {
  auto channels = scaled_channels(config, 32);  // the stem's
  for (std::size_t i = 0; i < config.in_channels.size(); ++i) {
    check(scaled_channels(config, config.in_channels[i]) == channels,
          "{} in_channels: stage {} takes {} channels, scaled {}, where {} come", where, i, config.in_channels[i],
          scaled_channels(config, config.in_channels[i]), channels);
    channels = scaled_channels(config, config.out_channels[i]);
  }
}

struct ValidateTower {
  const ModelConfig& config;
  const std::string where;

  void operator()(const VitConfig& vit) const { validate(vit, config.preprocess.image_size, config.embed_dim, where); }
  void operator()(const ModifiedResNetConfig& net) const { validate(net, config.preprocess.image_size, where); }
  void operator()(const ResNetConfig& net) const { validate(net, where); }
  void operator()(const EfficientNetConfig& net) const { validate(net, config.preprocess.image_size, where); }
  void operator()(const ConvNextConfig& net) const { validate(net, config.preprocess.image_size, where); }
  void operator()(const FastVitConfig& net) const { validate(net, config.preprocess.image_size, where); }
  void operator()(const OwnTowers&) const {}
};

}  // namespace

void validate(const VitConfig& config, std::int64_t image_size, std::int64_t embed_dim, const std::string& where) {
  check_between(where, "patch_size", config.patch_size, 1, largest_image);
  check(image_size >= config.patch_size && image_size <= largest_image,
        "{} image_size: expected patch_size, {}, to {}, got {}", where, config.patch_size, largest_image, image_size);
  check_stem(config, image_size, where);
  check_blocks(where, config.width, config.layers, config.mlp_ratio, config.activation, config.norm_eps);
  check(config.head_width > 0 && config.width % config.head_width == 0,
        "{} width {} is not a multiple of head_width {}", where, config.width, config.head_width);
  check_known(where, "pool", config.pool, VitConfig::Pool::query);
  check(config.class_token || config.pool != VitConfig::Pool::token, "{} pool: no class token to pool", where);
  check_known(where, "positions", config.positions, VitConfig::Positions::none);
  check(config.positions != VitConfig::Positions::sines || config.width % 4 == 0,
        "{} width {}: positions of sines need a multiple of 4", where, config.width);
  if (config.rotary) check_rotary(*config.rotary, config.head_width, where);
  check_between(where, "registers", config.registers, 0, largest_image);
  check_known(where, "front", config.front, VitConfig::Front::mobile_clip);
  validate_front(config, image_size, where);
  check_known(where, "position_resize", config.position_resize, VitConfig::PositionResize::bilinear_antialiased);
  check_between(where, "position_side", config.position_side, 0, largest_image);
  check_naflex(config, where);
  check(config.patch_dropout >= 0 && config.patch_dropout < 1, "{} patch_dropout: expected 0 to below 1, got {}", where,
        config.patch_dropout);
  if (config.layer_scale) check_finite(where, "layer_scale", *config.layer_scale);
  validate(config.block, where);
  check_pooling(config, embed_dim, where);
}

void validate(const BlockConfig& config, const std::string& where) {
  check_known(where, "norm", config.norm, BlockConfig::Norm::rms);
  check_known(where, "placement", config.placement, BlockConfig::Placement::behind_branch);
  check_known(where, "mlp", config.mlp, BlockConfig::Mlp::gated_last);
  check_known(where, "qkv_bias", config.qkv_bias, BlockConfig::QkvBias::none);
  check(!(config.cosine_attention && config.head_norms), "{} head_norms and cosine_attention exclude each other",
        where);
  const auto check_share = [&](const char* name, double value) {
    check(value >= 0 && value < 1, "{} {}: expected 0 to below 1, got {}", where, name, value);
  };
  check_share("dropout", config.dropout);
  check_share("attention_dropout", config.attention_dropout);
  check_share("drop_path", config.drop_path);
}

void validate(const ModifiedResNetConfig& config, std::int64_t image_size, const std::string& where) {
  check_between(where, "image_size", image_size, 1, largest_image);
  check(image_size % 32 == 0, "{} image_size {} is not a multiple of 32", where, image_size);
  check_stages(where, config.layers, config.width);
  check(config.width >= 2, "{} width: expected 2 or more, the stem begins with half of it, got {}", where,
        config.width);
  check(config.head_width > 0 && 32 * config.width % config.head_width == 0,
        "{} {} pooled channels are not a multiple of head_width {}", where, 32 * config.width, config.head_width);
}

void validate(const ResNetConfig& config, const std::string& where) {
  check_stages(where, config.layers, config.width);
}

void validate(const EfficientNetConfig& config, std::int64_t image_size, const std::string& where) {
  const std::pair<const char*, const std::vector<std::int64_t>*> lists[] = {
      {"kernel_sizes", &config.kernel_sizes},           {"in_channels", &config.in_channels},
      {"out_channels", &config.out_channels},           {"strides", &config.strides},
      {"num_block_repeats", &config.num_block_repeats}, {"expand_ratios", &config.expand_ratios}};
  const auto stages = config.kernel_sizes.size();
  check(stages > 0, "{} kernel_sizes: no stages", where);
  for (const auto& [name, list] : lists) {
    check(list->size() == stages, "{} {}: expected a number for each of {} stages, got {}", where, name, stages,
          list->size());
    for (const auto value : *list) check_between(where, name, value, 1, largest_size);
  }
  for (const auto kernel : config.kernel_sizes)
    check(kernel % 2 == 1 && kernel <= 31, "{} kernel_sizes: expected odd numbers up to 31, got {}", where, kernel);
  for (const auto stride : config.strides) check_between(where, "strides", stride, 1, 2);
  for (const auto ratio : config.expand_ratios) check_between(where, "expand_ratios", ratio, 1, 64);
  for (const auto block : config.depthwise_padding)
    check(block >= 0, "{} depthwise_padding: expected numbers of blocks, got {}", where, block);
  const auto check_coefficient = [&](const char* name, double value) {
    check(value >= 0.01 && value <= 100, "{} {}: expected 0.01 to 100, got {}", where, name, value);
  };
  check_coefficient("width_coefficient", config.width_coefficient);
  check_coefficient("depth_coefficient", config.depth_coefficient);
  check_size(where, "depth_divisor", config.depth_divisor);
  std::int64_t blocks = 0;
  for (const auto repeats : config.num_block_repeats) blocks += scaled_repeats(config, repeats);
  check_between(where, "num_block_repeats: their scaled sum", blocks, 1, most_blocks);
  check(config.squeeze_expansion_ratio > 0 && config.squeeze_expansion_ratio <= 1,
        "{} squeeze_expansion_ratio: expected above 0 and up to 1, got {}", where, config.squeeze_expansion_ratio);
  check_size(where, "hidden_dim", config.hidden_dim);
  check_eps(where, config.norm_eps);
  check(config.norm_momentum >= 0 && config.norm_momentum <= 1, "{} norm_momentum: expected 0 to 1, got {}", where,
        config.norm_momentum);
  check_stages_join(config, where);
  check(image_size >= smallest_image(config), "{} image_size: expected {} or more for so many strides, got {}", where,
        smallest_image(config), image_size);
}

void validate(const TextConfig& config, const std::string& where) {
  check_size(where, "context_length", config.context_length);
  check_size(where, "vocab_size", config.vocab_size);
  check_blocks(where, config.width, config.layers, config.mlp_ratio, config.activation, config.norm_eps);
  check_between(where, "heads", config.heads, 1, largest_size);
  check_between(where, "head_width", config.head_width, 0, largest_size);
  check(config.head_width > 0 || config.width % config.heads == 0, "{} width {} is not a multiple of heads {}", where,
        config.width, config.heads);
  check_known(where, "pool", config.pool, TextConfig::Pool::attention);
  check_known(where, "positions", config.positions, TextConfig::Positions::none);
  check_known(where, "architecture", config.architecture, TextConfig::Architecture::modern);
  check(config.token_std >= 0 && config.token_std <= 100, "{} token_std: expected 0 to 100, got {}", where,
        config.token_std);
  is_masked_text(config) ? check_masked_text(config, where) : check_clip_text(config, where);
  if (config.architecture == TextConfig::Architecture::modern) check_modern_text(config, where);
  validate(config.block, where);
  check_ids(config, where);
  check_cleaning(config, where);
}

void check_cleaning(const TextConfig& config, const std::string& where) {
  const auto& cleaning = config.cleaning;
  check(cleaning.empty() || cleaning == "whitespace" || cleaning == "lower" || cleaning == "canonicalize",
        "{} cleaning: expected whitespace, lower or canonicalize, got {}", where, cleaning);
}

void validate(const ModelConfig& config, const std::string& where) {
  check_size(where, "embed_dim", config.embed_dim);
  check_known(where, "layout", config.layout, Layout::hugging_face);
  validate(config.preprocess, where + " preprocess:");
  validate(config.scale, where + " scale:");
  for (const auto* projection : {&config.image_projection, &config.text_projection})
    check_between(where, "projection: hidden", projection->hidden, 0, largest_size);
  if (std::holds_alternative<OwnTowers>(config.vision)) return;
  std::visit(ValidateTower{config, where + " vision:"}, config.vision);
  validate(config.text, where + " text:");
  check_fits_memory(config, where);
}

bool depends_on_padding(const TextConfig& text) {
  const bool masks = is_masked_text(text) || text.architecture == TextConfig::Architecture::modern;
  return masks || !text.causal || text.class_embedding || text.pool == TextConfig::Pool::last ||
         text.pool == TextConfig::Pool::mean;
}

std::int64_t pool_heads(const VitConfig& config) {
  if (config.pool_heads > 0) return config.pool_heads;
  return config.pool == VitConfig::Pool::query ? 8 : config.width / config.head_width;
}

std::int64_t scaled_channels(const EfficientNetConfig& config, std::int64_t channels) {
  const double scaled = static_cast<double>(channels) * config.width_coefficient;
  const auto divisor = config.depth_divisor;
  const auto nearest = static_cast<std::int64_t>(scaled + static_cast<double>(divisor) / 2) / divisor * divisor;
  const auto rounded = std::max(divisor, nearest);
  return static_cast<double>(rounded) < 0.9 * scaled ? rounded + divisor : rounded;
}

std::int64_t scaled_repeats(const EfficientNetConfig& config, std::int64_t repeats) {
  return static_cast<std::int64_t>(std::ceil(config.depth_coefficient * static_cast<double>(repeats)));
}

std::int64_t smallest_image(const EfficientNetConfig& config) {
  std::vector<std::int64_t> firsts;  // the number of each stage's first block, the only one that strides
  std::int64_t blocks = 0;
  for (const auto repeats : config.num_block_repeats) {
    firsts.push_back(blocks);
    blocks += scaled_repeats(config, repeats);
  }
  const auto& even = config.depthwise_padding;
  std::int64_t side = 1;
  for (auto stage = firsts.size(); stage-- > 0;) {
    if (config.strides[stage] != 2) continue;
    const bool is_even = std::find(even.begin(), even.end(), firsts[stage]) != even.end();
    side = std::min(is_even ? 2 * side - 1 : 2 * side, largest_size);
  }
  return 2 * side;  // the stem's
}

}  // namespace vlalign
