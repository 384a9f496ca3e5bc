#include "vlalign/vla/fusion/make_fusion.hpp"

#include <utility>

#include "core/check.hpp"
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
using Make = Made (*)(const FusionSizes&, nn::Initializer&);

constexpr std::int64_t rt1_tokens = 8;

const std::vector<std::pair<std::string_view, Make>>& makers() {
  using Sizes = const FusionSizes&;
  using Init = nn::Initializer&;
  static const std::vector<std::pair<std::string_view, Make>> table{
      {"early", [](Sizes s, Init i) -> Made { return std::make_shared<EarlyFusion>(s, EarlyFusion::Options{}, i); }},
      {"late_concat",
       [](Sizes s, Init i) -> Made { return std::make_shared<LateFusion>(s, LateFusion::Options{}, i); }},
      {"late_product",
       [](Sizes s, Init i) -> Made {
         return std::make_shared<LateFusion>(s, LateFusion::Options{.join = LateFusion::Join::multiply}, i);
       }},
      {"film", [](Sizes s, Init i) -> Made { return std::make_shared<FilmFusion>(s, FilmFusion::Options{}, i); }},
      {"token_learner",
       [](Sizes s, Init i) -> Made {
         return std::make_shared<FilmFusion>(s, FilmFusion::Options{.learned_tokens = rt1_tokens}, i);
       }},
      {"tiled_product",
       [](Sizes s, Init i) -> Made { return std::make_shared<TiledProduct>(s, TiledProduct::Options{}, i); }},
      {"text_queries",
       [](Sizes s, Init i) -> Made { return std::make_shared<CrossAttention>(s, CrossAttention::Options{}, i); }},
      {"visual_queries",
       [](Sizes s, Init i) -> Made {
         return std::make_shared<CrossAttention>(s, CrossAttention::Options{.queries = CrossAttention::Queries::visual},
                                                 i);
       }},
      {"pointing", [](Sizes s, Init i) -> Made { return std::make_shared<Pointing>(s, Pointing::Options{}, i); }},
      {"attention_pooling",
       [](Sizes s, Init i) -> Made { return std::make_shared<AttentionPooling>(s, AttentionPooling::Options{}, i); }},
  };
  return table;
}

}  // namespace

const std::vector<std::string_view>& fusion_names() {
  static const auto names = [] {
    std::vector<std::string_view> list;
    for (const auto& [name, make] : makers()) list.push_back(name);
    return list;
  }();
  return names;
}

std::shared_ptr<Fusion> make_fusion(std::string_view name, const FusionSizes& sizes, nn::Initializer& initializer) {
  for (const auto& [known, make] : makers()) {
    if (known == name) return make(sizes, initializer);
  }
  fail("[make_fusion] unknown fusion '{}': expected one of {}", name, fmt::join(fusion_names(), ", "));
}

}  // namespace vlalign::vla
