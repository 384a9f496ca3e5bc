#include "vlalign/vla/fusion/make_fusion.hpp"

#include <utility>

#include "core/check.hpp"
#include "vla/option_reader.hpp"
#include "vlalign/vla/fusion/attention_pooling.hpp"
#include "vlalign/vla/fusion/cross_attention.hpp"
#include "vlalign/vla/fusion/early_fusion.hpp"
#include "vlalign/vla/fusion/film_fusion.hpp"
#include "vlalign/vla/fusion/late_fusion.hpp"
#include "vlalign/vla/fusion/pointing.hpp"
#include "vlalign/vla/fusion/tiled_product.hpp"

namespace vlalign::vla {
namespace {

using Made = std::shared_ptr<Fusion>;
using Make = Made (*)(const FusionSizes&, nn::Initializer&, OptionReader&);

constexpr std::int64_t rt1_tokens = 8;

template <typename Part>
Made made(const FusionSizes& sizes, const typename Part::Options& options, nn::Initializer& initializer,
          const OptionReader& reader) {
  reader.check_all_taken();
  return std::make_shared<Part>(sizes, options, initializer);
}

Made early(const FusionSizes& sizes, nn::Initializer& initializer, OptionReader& reader) {
  EarlyFusion::Options options;
  reader.integer("layers", options.layers);
  reader.integer("heads", options.heads);
  reader.integer("readouts", options.readouts);
  return made<EarlyFusion>(sizes, options, initializer, reader);
}

template <LateFusion::Join join>
Made late(const FusionSizes& sizes, nn::Initializer& initializer, OptionReader& reader) {
  LateFusion::Options options{.join = join};
  reader.integer("hidden", options.hidden);
  return made<LateFusion>(sizes, options, initializer, reader);
}

Made film(const FusionSizes& sizes, nn::Initializer& initializer, OptionReader& reader) {
  return made<FilmFusion>(sizes, {}, initializer, reader);
}

Made token_learner(const FusionSizes& sizes, nn::Initializer& initializer, OptionReader& reader) {
  auto tokens = rt1_tokens;
  reader.integer("learned_tokens", tokens);
  return made<FilmFusion>(sizes, {.learned_tokens = tokens}, initializer, reader);
}

Made tiled_product(const FusionSizes& sizes, nn::Initializer& initializer, OptionReader& reader) {
  TiledProduct::Options options;
  reader.integer("hidden", options.hidden);
  return made<TiledProduct>(sizes, options, initializer, reader);
}

template <CrossAttention::Queries queries>
Made cross_attention(const FusionSizes& sizes, nn::Initializer& initializer, OptionReader& reader) {
  CrossAttention::Options options{.queries = queries};
  reader.integer("layers", options.layers);
  reader.integer("heads", options.heads);
  return made<CrossAttention>(sizes, options, initializer, reader);
}

Made pointing(const FusionSizes& sizes, nn::Initializer& initializer, OptionReader& reader) {
  Pointing::Options options;
  reader.integer("pointers", options.pointers);
  reader.number("scale", options.scale);
  reader.integer("found", options.found);
  reader.integer("hidden", options.hidden);
  return made<Pointing>(sizes, options, initializer, reader);
}

Made attention_pooling(const FusionSizes& sizes, nn::Initializer& initializer, OptionReader& reader) {
  AttentionPooling::Options options;
  reader.integer("queries", options.queries);
  reader.integer("heads", options.heads);
  return made<AttentionPooling>(sizes, options, initializer, reader);
}

const std::vector<std::pair<std::string_view, Make>>& fusion_makers() {
  static const std::vector<std::pair<std::string_view, Make>> table{
      {"early", early},
      {"late_concat", late<LateFusion::Join::concatenate>},
      {"late_product", late<LateFusion::Join::multiply>},
      {"film", film},
      {"token_learner", token_learner},
      {"tiled_product", tiled_product},
      {"text_queries", cross_attention<CrossAttention::Queries::text>},
      {"visual_queries", cross_attention<CrossAttention::Queries::visual>},
      {"pointing", pointing},
      {"attention_pooling", attention_pooling},
  };
  return table;
}

}  // namespace

const std::vector<std::string_view>& fusion_names() {
  static const auto names = [] {
    std::vector<std::string_view> list;
    for (const auto& [name, make] : fusion_makers()) list.push_back(name);
    return list;
  }();
  return names;
}

std::shared_ptr<Fusion> make_fusion(std::string_view name, const FusionSizes& sizes, nn::Initializer& initializer,
                                    const PartOptions& options) {
  const auto where = fmt::format("[make_fusion] {}", name);
  OptionReader reader(options, where);
  for (const auto& [known, make] : fusion_makers())
    if (known == name) return make(sizes, initializer, reader);
  fail("[make_fusion] unknown fusion '{}': expected one of {}", name, fmt::join(fusion_names(), ", "));
}

}  // namespace vlalign::vla
