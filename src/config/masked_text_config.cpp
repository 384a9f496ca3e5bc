// Text towers that mask padding: BERT's family, T5's and NLLB's encoders.
#include "config/validate.hpp"
#include "core/check.hpp"

namespace vlalign {
namespace {

using Architecture = TextConfig::Architecture;
using TextPositions = TextConfig::Positions;

constexpr std::int64_t most_token_types = 1 << 24, most_buckets = 1 << 16;

void check_bert_only(const TextConfig& config, const std::string& where) {
  const bool learned =
      config.positions == TextPositions::learned || config.positions == TextPositions::learned_from_padding;
  check(learned, "{} positions: expected learned or learned_from_padding with BERT", where);
  check(config.token_types > 0 && config.token_types <= most_token_types, "{} token_types: expected 1 to {}, got {}",
        where, most_token_types, config.token_types);
  check(config.head_width == 0, "{} head_width: BERT's heads share the width; leave it 0", where);
  check(config.token_std == TextConfig{}.token_std, "{} token_std: BERT has none; leave it off", where);
  check(config.pool != TextConfig::Pool::pooler || config.pooler, "{} pool: the pooler's layer is off", where);
  const auto first = config.positions == TextPositions::learned ? 0 : config.pad_id + 1;
  check(config.position_rows >= 0 && position_rows(config) >= first + config.context_length,
        "{} position_rows: expected {} or more for context_length {}, got {}", where, first + config.context_length,
        config.context_length, config.position_rows);
}

void check_t5_only(const TextConfig& config, const std::string& where) {
  check(config.positions == TextPositions::relative, "{} positions: expected relative with T5", where);
  check(config.relative_buckets >= 4 && config.relative_buckets <= most_buckets && config.relative_buckets % 4 == 0,
        "{} relative_buckets: expected a multiple of 4 up to {}, got {}", where, most_buckets, config.relative_buckets);
  check(config.relative_distance > config.relative_buckets / 4,
        "{} relative_distance: expected more than a quarter of relative_buckets, {}, got {}", where,
        config.relative_buckets / 4, config.relative_distance);
}

void check_nllb_only(const TextConfig& config, const std::string& where) {
  check(config.positions == TextPositions::sines, "{} positions: expected sines with NLLB", where);
  check(config.width >= 4 && config.width % 2 == 0, "{} width: expected an even number from 4 on for sines, got {}",
        where, config.width);
  check(config.head_width == 0, "{} head_width: NLLB's heads share the width; leave it 0", where);
}

}  // namespace

bool is_masked_text(const TextConfig& config) {
  return config.architecture == Architecture::bert || config.architecture == Architecture::t5 ||
         config.architecture == Architecture::nllb;
}

std::int64_t position_rows(const TextConfig& config) {
  if (config.position_rows > 0) return config.position_rows;
  if (config.positions == TextPositions::learned_from_padding) return config.pad_id + 1 + config.context_length;
  return config.positions == TextPositions::learned ? config.context_length : 0;
}

TextConfig with_context(TextConfig config, std::int64_t context_length) {
  const auto rows = position_rows(config);
  config.context_length = context_length;
  config.position_rows = 0;
  if (position_rows(config) != rows) config.position_rows = static_cast<std::int32_t>(rows);
  return config;
}

TextConfig with_asked_context(TextConfig config, std::int64_t context_length) {
  const bool counted = config.positions == TextPositions::learned_from_padding;
  const bool fits = position_rows(config) >= context_length + (counted ? config.pad_id + 1 : 0);
  if (config.architecture == Architecture::bert && fits) return with_context(config, context_length);
  config.context_length = context_length;
  config.position_rows = 0;
  return config;
}

void check_masked_text(const TextConfig& config, const std::string& where) {
  using Pool = TextConfig::Pool;
  const bool bert = config.architecture == Architecture::bert;
  const bool known = config.pool == Pool::first || config.pool == Pool::mean || config.pool == Pool::max;
  check(known || (bert && config.pool == Pool::pooler), "{} pool: expected first ([CLS]), mean, max{}", where,
        bert ? " or pooler" : "");
  check(!config.causal && !config.layer_scale && !config.class_embedding && !config.ln_pre && config.registers == 0,
        "{} causal, layer_scale, class_embedding, ln_pre and registers are of other architectures; leave them off",
        where);
  const TextConfig usual;
  check(bert || (config.token_types == usual.token_types && !config.pooler && config.position_rows == 0),
        "{} token_types, pooler and position_rows are BERT's; leave them off with another architecture", where);
  if (bert) return check_bert_only(config, where);
  config.architecture == Architecture::t5 ? check_t5_only(config, where) : check_nllb_only(config, where);
}

}  // namespace vlalign
