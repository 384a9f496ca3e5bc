#include "config/weight_estimate.hpp"

#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <fstream>
#include <limits>

#include "config/validate.hpp"
#include "core/check.hpp"

namespace vlalign {
namespace {

double real(std::int64_t number) { return static_cast<double>(number); }

/// Attention, MLP and norms of a Transformer.
double blocks(std::int64_t layers, double width, double hidden, const BlockConfig& block) {
  const double products = block.mlp == BlockConfig::Mlp::plain ? 2 : 3, gate = block.gate ? width * width : 0;
  return real(layers) * (4 * width * width + gate + products * width * hidden + 9 * width + hidden);
}

double projection(const ProjectionConfig& config, double width, double embed) {
  if (!config.present) return 0;
  const auto hidden = real(config.hidden);
  return hidden > 0 ? hidden * (width + embed) : width * embed;
}

/// A residual block of two or three convolutions and, where the channels change, a shortcut.
double residual(double in, double planes, double out, bool bottleneck) {
  const auto shortcut = in == out ? 0.0 : in * out;
  return shortcut + (bottleneck ? in * planes + 9 * planes * planes + planes * out : 9 * planes * (in + planes));
}

/// Four stages, the channels doubling.
double stages(const std::vector<std::int64_t>& layers, double width, double expansion, bool bottleneck) {
  double sum = 0, in = width;
  for (std::size_t stage = 0; stage < layers.size(); ++stage) {
    const auto planes = std::ldexp(width, static_cast<int>(stage)), out = expansion * planes;
    sum += residual(in, planes, out, bottleneck) + real(layers[stage] - 1) * residual(out, planes, out, bottleneck);
    in = out;
  }
  return sum;
}

struct CountTower {
  const ModelConfig& config;

  double operator()(const VitConfig& vit) const {
    const auto width = real(vit.width), hidden = width * vit.mlp_ratio, embed = real(config.embed_dim);
    double sum = 0, in = 3;
    for (const auto channels : vit.stem) sum += 9 * in * real(channels), in = real(channels);
    const auto patch = std::ldexp(real(vit.patch_size), -static_cast<int>(vit.stem.size()));
    const auto side = std::floor(real(config.preprocess.image_size) / real(vit.patch_size));
    sum += in * patch * patch * width + side * side * width + blocks(vit.layers, width, hidden, vit.block);
    if (vit.pool == VitConfig::Pool::attention) sum += blocks(1, width, hidden, {});
    if (vit.pool == VitConfig::Pool::query) sum += real(vit.pool_queries) * embed + 2 * embed * (embed + width);
    return sum + projection(config.image_projection, width, embed);
  }
  double operator()(const ModifiedResNetConfig& net) const {
    const auto width = real(net.width), pooled = 32 * width, side = real(config.preprocess.image_size) / 32;
    return 6.75 * width * width + stages(net.layers, width, 4, true) + (3 * pooled + side * side) * pooled +
           pooled * real(config.embed_dim);
  }
  double operator()(const ResNetConfig& net) const {
    const auto width = real(net.width), expansion = net.bottleneck ? 4.0 : 1.0;
    return 147 * width + stages(net.layers, width, expansion, net.bottleneck) +
           8 * expansion * width * real(config.embed_dim);
  }
  double operator()(const EfficientNetConfig& net) const {
    double sum = 0;
    for (std::size_t stage = 0; stage < net.in_channels.size(); ++stage) {
      const auto kernel = real(net.kernel_sizes[stage]), expand = real(net.expand_ratios[stage]);
      const auto out = real(scaled_channels(net, net.out_channels[stage]));
      const auto block = [&](double in) {
        const auto inner = in * expand;
        return (expand > 1 ? in * inner : 0) + inner * kernel * kernel + 2 * inner * in * net.squeeze_expansion_ratio +
               inner * out;
      };
      sum += block(real(scaled_channels(net, net.in_channels[stage]))) +
             real(scaled_repeats(net, net.num_block_repeats[stage]) - 1) * block(out);
    }
    return sum;
  }
  double operator()(const ConvNextConfig& net) const {
    double sum = 0;
    for (std::size_t stage = 0; stage < net.layers.size(); ++stage) {
      const auto width = real(net.widths[stage]);
      sum += real(net.layers[stage]) * (8 * width * width + 56 * width);
      if (stage > 0) sum += 4 * real(net.widths[stage - 1]) * width;
    }
    return sum + projection(config.image_projection, real(net.widths.back()), real(config.embed_dim));
  }
  double operator()(const FastVitConfig& net) const {
    double sum = 0;
    for (std::size_t stage = 0; stage < net.layers.size(); ++stage) {
      const auto width = real(net.widths[stage]);
      sum += real(net.layers[stage]) * 2 * net.mlp_ratio * width * width;
    }
    return sum + projection(config.image_projection, 2 * real(net.widths.back()), real(config.embed_dim));
  }
  double operator()(const OwnTowers&) const { return 0; }
};

double count_text(const TextConfig& text, const ModelConfig& config) {
  const auto width = real(text.width), hidden = width * text.mlp_ratio;
  const auto rows = real(text.vocab_size) + real(position_rows(text));
  return rows * width + blocks(text.layers, width, hidden, text.block) + (text.pooler ? width * width : 0) +
         projection(config.text_projection, width, real(config.embed_dim));
}

/// Infinity where there is no such file, or none such limit in it.
double number_in(const char* path) {
  std::string text;
  std::ifstream(path) >> text;
  std::int64_t bytes = 0;
  const auto error = std::from_chars(text.data(), text.data() + text.size(), bytes).ec;
  return error == std::errc() && bytes > 0 ? real(bytes) : std::numeric_limits<double>::infinity();
}

}  // namespace

double estimated_parameters(const ModelConfig& config) {
  if (std::holds_alternative<OwnTowers>(config.vision)) return 0;
  return std::visit(CountTower{config}, config.vision) + count_text(config.text, config);
}

double memory_limit() {
  const auto machine = real(::sysconf(_SC_PHYS_PAGES)) * real(::sysconf(_SC_PAGESIZE));
  return std::min(
      {machine, number_in("/sys/fs/cgroup/memory.max"), number_in("/sys/fs/cgroup/memory/memory.limit_in_bytes")});
}

void check_fits_memory(const ModelConfig& config, const std::string& where) {
  constexpr double gib = 1024.0 * 1024 * 1024;
  const auto wanted = 4 * estimated_parameters(config), limit = memory_limit();
  check(wanted <= limit, "{} the weights alone would take about {:.1f} GiB, the memory here is {:.1f} GiB", where,
        wanted / gib, limit / gib);
}

}  // namespace vlalign
