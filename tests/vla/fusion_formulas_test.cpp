#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cmath>

#include "fusion_input.hpp"
#include "support/layers_by_hand.hpp"
#include "support/temp_folder.hpp"
#include "vlalign/core/error.hpp"
#include "vlalign/vla/fusion/attention_pooling.hpp"
#include "vlalign/vla/fusion/cross_attention.hpp"
#include "vlalign/vla/fusion/early_fusion.hpp"
#include "vlalign/vla/fusion/film_fusion.hpp"
#include "vlalign/vla/fusion/late_fusion.hpp"
#include "vlalign/vla/fusion/pointing.hpp"
#include "vlalign/vla/fusion/tiled_product.hpp"

namespace vlalign::vla::fusion_formulas_test {
namespace {

using test::block_by_hand;
using test::distance;
using test::joined;
using test::linear_by_hand;
using test::mean_by_hand;
using test::message_of;
using test::mlp_by_hand;
using test::norm_by_hand;
using test::plus;
using test::random_input;
using test::rows_of;
using test::sizes;
using test::Vector;
using test::vector_of;
using test::Vectors;

constexpr std::int64_t batch = test::batch;
constexpr std::size_t heads = 2;
constexpr double tolerance = 1e-4;

/// A sample's text without its padding, each token through a layer.
Vectors real_text(const FusionInput& input, std::int64_t b, const nn::Linear& layer) {
  Vectors tokens;
  for (std::int64_t l = 0; l < 5 - 2 * b; ++l)
    tokens.push_back(linear_by_hand(layer, vector_of(input.text_tokens[b][l])));
  return tokens;
}

Vectors visual_of(const FusionInput& input, std::int64_t b, const nn::Linear& layer) {
  Vectors tokens;
  for (const auto& token : rows_of(input.visual_tokens[b])) tokens.push_back(linear_by_hand(layer, token));
  return tokens;
}

Vector state_of(const FusionInput& input, std::int64_t b, const Fusion& fusion) {
  return linear_by_hand(*fusion.state_proj, vector_of(input.state[b]));
}

template <typename Kind>
std::shared_ptr<Kind> make(const typename Kind::Options& options) {
  nn::Initializer initializer(1);
  const auto fusion = std::make_shared<Kind>(sizes, options, initializer);
  test::randomize(*fusion);
  return fusion;
}

/// sum_l softmax_l(u . w_l) w_l
Vector weighted_mean(const Vector& u, const Vectors& words) {
  Vector weights;
  for (const auto& word : words) weights.push_back(test::dot(u, word));
  weights = test::softmax_by_hand(weights);
  Vector mean(u.size(), 0.0);
  for (std::size_t l = 0; l < words.size(); ++l)
    for (std::size_t e = 0; e < mean.size(); ++e) mean[e] += weights[l] * words[l][e];
  return mean;
}

TEST(Pointing, EqualsItsFormulaInDouble) {
  const auto fusion = make<Pointing>({.pointers = 3, .scale = 4.0, .found = 5, .hidden = 11});
  const auto input = random_input();
  const auto fused = fusion->forward(input);
  EXPECT_EQ(fused.sizes().vec(), (std::vector<std::int64_t>{batch, 1, 8}));
  for (std::int64_t b = 0; b < batch; ++b) {
    const auto places = rows_of(input.joint_visual[b]);
    auto words = rows_of(input.joint_words[b]);
    words.resize(static_cast<std::size_t>(5 - 2 * b));
    for (auto& word : words)
      for (auto& number : word) number *= std::sqrt(6.0);
    const auto tokens = rows_of(input.text_tokens[b].narrow(0, 0, 5 - 2 * b));
    Vector found, expected_places, read;
    for (std::int64_t k = 0; k < 3; ++k) {
      const auto query = weighted_mean(vector_of(fusion->word_weights->weight[k]), words);
      const double length = std::sqrt(test::dot(query, query)), scale = std::exp(fusion->log_scale[k].item<double>());
      Vector mass;
      for (const auto& place : places) mass.push_back(scale * test::dot(query, place) / length);
      mass = test::softmax_by_hand(mass);
      Vector here(5, 0.0);
      const auto visual = visual_of(input, b, *fusion->found_proj);
      for (std::size_t n = 0; n < 4; ++n)
        for (std::size_t d = 0; d < 5; ++d) here[d] += mass[n] * visual[n][d];
      found = joined(found, here);
      read = joined(read, weighted_mean(vector_of(fusion->read_weights->weight[k]), tokens));
      // A grid of 2 x 2: cells' centres at -0.5 and 0.5.
      expected_places = joined(expected_places, {0.5 * (mass[1] + mass[3] - mass[0] - mass[2]),
                                                 0.5 * (mass[2] + mass[3] - mass[0] - mass[1])});
    }
    const auto text = linear_by_hand(*fusion->read_proj, read);
    const auto all = joined(joined(found, expected_places), text);
    const auto expected = plus(mlp_by_hand(*fusion->mlp->c_fc, *fusion->mlp->c_proj, all), state_of(input, b, *fusion));
    EXPECT_LT(distance(fused[b][0], expected), tolerance);
  }
}

TEST(LateFusion, EqualsItsFormulaInDouble) {
  for (const auto join : {LateFusion::Join::concatenate, LateFusion::Join::multiply}) {
    const auto fusion = make<LateFusion>({.join = join, .hidden = 11});
    const auto input = random_input();
    const auto fused = fusion->forward(input);
    EXPECT_EQ(fused.sizes().vec(), (std::vector<std::int64_t>{batch, 1, 8}));
    for (std::int64_t b = 0; b < batch; ++b) {
      const auto visual = linear_by_hand(*fusion->visual_proj, vector_of(input.pooled_visual[b]));
      const auto text = linear_by_hand(*fusion->text_proj, vector_of(input.pooled_text[b]));
      auto both = joined(visual, text);
      if (join == LateFusion::Join::multiply) {
        both = visual;
        for (std::size_t d = 0; d < both.size(); ++d) both[d] *= text[d];
      }
      const auto expected =
          mlp_by_hand(*fusion->mlp->c_fc, *fusion->mlp->c_proj, joined(both, state_of(input, b, *fusion)));
      EXPECT_LT(distance(fused[b][0], expected), tolerance) << "sample " << b;
    }
  }
}

TEST(EarlyFusion, EqualsItsFormulaWithoutPaddingInDouble) {
  const auto fusion = make<EarlyFusion>({.layers = 2, .heads = heads, .readouts = 2});
  const auto input = random_input();
  const auto fused = fusion->forward(input);
  EXPECT_EQ(fused.sizes().vec(), (std::vector<std::int64_t>{batch, 2, 8}));
  for (std::int64_t b = 0; b < batch; ++b) {
    Vectors seen;
    for (const auto& token : real_text(input, b, *fusion->text_proj))
      seen.push_back(plus(token, vector_of(fusion->text_embedding)));
    for (const auto& token : visual_of(input, b, *fusion->visual_proj))
      seen.push_back(plus(token, vector_of(fusion->visual_embedding)));
    seen.push_back(plus(state_of(input, b, *fusion), vector_of(fusion->state_embedding)));
    auto readouts = rows_of(fusion->readouts);
    for (const auto& block : fusion->transformer->resblocks) {
      auto all = seen;
      all.insert(all.end(), readouts.begin(), readouts.end());
      for (auto& readout : readouts) readout = block_by_hand(*block, readout, all, heads);
      const auto before = seen;
      for (auto& token : seen) token = block_by_hand(*block, token, before, heads);
    }
    for (std::int64_t m = 0; m < 2; ++m) {
      const auto expected = norm_by_hand(*fusion->ln_final, readouts[static_cast<std::size_t>(m)]);
      EXPECT_LT(distance(fused[b][m], expected), tolerance) << "sample " << b;
    }
  }
}

/// (1 + gamma) x + beta, from one linear layer's two halves.
Vector film_by_hand(const FilmLayer& layer, Vector x, const Vector& condition) {
  const auto both = linear_by_hand(*layer.dense, condition);
  for (std::size_t c = 0; c < x.size(); ++c) x[c] = (1 + both[c]) * x[c] + both[x.size() + c];
  return x;
}

Vectors film_tokens(const FilmFusion& fusion, const FusionInput& input, std::int64_t b) {
  auto tokens = visual_of(input, b, *fusion.visual_proj);
  for (auto& token : tokens) {
    token = film_by_hand(*fusion.film, token, vector_of(input.pooled_text[b]));
    for (double& x : token) x = std::max(x, 0.0);
  }
  return tokens;
}

TEST(FilmFusion, EqualsItsFormulaInDouble) {
  const auto fusion = make<FilmFusion>({});
  const auto input = random_input();
  const auto fused = fusion->forward(input);
  EXPECT_EQ(fused.sizes().vec(), (std::vector<std::int64_t>{batch, 4, 8}));
  for (std::int64_t b = 0; b < batch; ++b) {
    const auto tokens = film_tokens(*fusion, input, b);
    for (std::int64_t n = 0; n < 4; ++n) {
      const auto expected = plus(tokens[static_cast<std::size_t>(n)], state_of(input, b, *fusion));
      EXPECT_LT(distance(fused[b][n], expected), tolerance) << "sample " << b;
    }
  }
}

TEST(FilmFusion, LearnedTokensAreSoftSelectionsOfThePlacesInDouble) {
  constexpr std::int64_t learned = 3;
  const auto fusion = make<FilmFusion>({.learned_tokens = learned});
  const auto input = random_input();
  const auto fused = fusion->forward(input);
  EXPECT_EQ(fused.sizes().vec(), (std::vector<std::int64_t>{batch, learned, 8}));
  const auto& learner = *fusion->token_learner;
  for (std::int64_t b = 0; b < batch; ++b) {
    const auto tokens = film_tokens(*fusion, input, b);
    for (std::int64_t m = 0; m < learned; ++m) {
      Vector scores;
      for (const auto& token : tokens) {
        const auto each = mlp_by_hand(*learner.mlp->c_fc, *learner.mlp->c_proj, norm_by_hand(*learner.norm, token));
        scores.push_back(each[static_cast<std::size_t>(m)]);
      }
      const auto weights = test::softmax_by_hand(scores);
      auto expected = state_of(input, b, *fusion);
      for (std::size_t n = 0; n < tokens.size(); ++n) {
        for (std::size_t d = 0; d < expected.size(); ++d) expected[d] += weights[n] * tokens[n][d];
      }
      EXPECT_LT(distance(fused[b][m], expected), tolerance) << "sample " << b;
    }
  }
}

/// What there is and where it is, of one channel of a product, [rows][columns]; weights: of mean 1.
std::array<double, 3> summary_by_hand(const Vectors& product, const Vectors& weights) {
  double what = 0, total = 0, x = 0, y = 0;
  const auto rows = product.size(), columns = product[0].size();
  for (std::size_t r = 0; r < rows; ++r) {
    for (std::size_t c = 0; c < columns; ++c) {
      what += weights[r][c] * test::gelu_by_hand(product[r][c]) / static_cast<double>(rows * columns);
      const double mass = weights[r][c] * std::exp(product[r][c]);
      total += mass;
      x += mass * (2 * (static_cast<double>(c) + 0.5) / static_cast<double>(columns) - 1);
      y += mass * (2 * (static_cast<double>(r) + 0.5) / static_cast<double>(rows) - 1);
    }
  }
  return {what, x / total, y / total};
}

class TiledProductWeighted : public testing::TestWithParam<bool> {};

TEST_P(TiledProductWeighted, EqualsItsFormulaInDouble) {
  const auto fusion = make<TiledProduct>({.hidden = 11});
  auto input = random_input();  // its second map is a class token and 2 x 2 places
  const bool weighted = GetParam();
  if (weighted) input.visual_weights = at::tensor({2.0F, 0.5F, 1.0F, 4.5F}).expand({batch, 4});
  // Of mean 1, laid over 3 x 2 places, where the middle row is half of each, and 2 x 2.
  const std::array<Vectors, 2> weights{weighted ? Vectors{{1, 0.25}, {0.75, 1.25}, {0.5, 2.25}} : Vectors(3, {1, 1}),
                                       weighted ? Vectors{{1, 0.25}, {0.5, 2.25}} : Vectors(2, {1, 1})};
  const auto fused = fusion->forward(input);
  EXPECT_EQ(fused.sizes().vec(), (std::vector<std::int64_t>{batch, 1, 8}));
  for (std::int64_t b = 0; b < batch; ++b) {
    Vector all;
    for (std::size_t scale = 0; scale < 2; ++scale) {
      const std::int64_t rows = scale == 0 ? 3 : 2, columns = 2;
      const auto text = linear_by_hand(*fusion->text_projs[scale], vector_of(input.pooled_text[b]));
      std::vector<Vectors> product(8, Vectors(static_cast<std::size_t>(rows), Vector(2)));
      for (std::int64_t r = 0; r < rows; ++r) {
        for (std::int64_t c = 0; c < columns; ++c) {
          const auto place = scale == 0 ? vector_of(input.maps[0][b].select(1, r).select(1, c))
                                        : vector_of(input.maps[1][b][1 + r * columns + c]);
          const auto visual = linear_by_hand(*fusion->visual_projs[scale], place);
          for (std::size_t d = 0; d < 8; ++d) product[d][r][c] = visual[d] * text[d];
        }
      }
      for (std::size_t part = 0; part < 3; ++part) {
        for (std::size_t d = 0; d < 8; ++d) all.push_back(summary_by_hand(product[d], weights[scale])[part]);
      }
    }
    const auto expected = plus(mlp_by_hand(*fusion->mlp->c_fc, *fusion->mlp->c_proj, all), state_of(input, b, *fusion));
    EXPECT_LT(distance(fused[b][0], expected), tolerance) << "sample " << b;
  }
}

INSTANTIATE_TEST_SUITE_P(OrNot, TiledProductWeighted, testing::Bool());

TEST(TiledProduct, TokensOfNoSquareAreRefused) {
  EXPECT_EQ(message_of<Error>([] {
              tokens_to_map(at::zeros({1, 7, 2}));
            }),
            "[tokens_to_map] 7 tokens are no square grid");
}

TEST(CrossAttention, EqualsItsFormulaWithoutPaddingInDouble) {
  for (const auto asks : {CrossAttention::Queries::text, CrossAttention::Queries::visual}) {
    const bool text_asks = asks == CrossAttention::Queries::text;
    const auto fusion = make<CrossAttention>({.queries = asks, .layers = 2, .heads = heads});
    const auto input = random_input();
    const auto fused = fusion->forward(input);
    EXPECT_EQ(fused.sizes().vec(), (std::vector<std::int64_t>{batch, text_asks ? 1 : 4, 8}));
    for (std::int64_t b = 0; b < batch; ++b) {
      const auto text = real_text(input, b, *fusion->text_proj), visual = visual_of(input, b, *fusion->visual_proj);
      auto tokens = text_asks ? text : visual;
      for (auto& token : tokens) {
        for (const auto& block : fusion->blocks) token = block_by_hand(*block, token, text_asks ? visual : text, heads);
        token = norm_by_hand(*fusion->ln_final, token);
      }
      if (text_asks) tokens = {mean_by_hand(tokens)};
      for (std::size_t m = 0; m < tokens.size(); ++m) {
        const auto expected = plus(tokens[m], state_of(input, b, *fusion));
        EXPECT_LT(distance(fused[b][static_cast<std::int64_t>(m)], expected), tolerance) << "sample " << b;
      }
    }
  }
}

TEST(AttentionPooling, EqualsItsFormulaInDouble) {
  const auto fusion = make<AttentionPooling>({.queries = 2, .heads = heads});
  const auto input = random_input();
  const auto fused = fusion->forward(input);
  EXPECT_EQ(fused.sizes().vec(), (std::vector<std::int64_t>{batch, 2, 8}));
  for (std::int64_t b = 0; b < batch; ++b) {
    const auto text = linear_by_hand(*fusion->text_proj, vector_of(input.pooled_text[b]));
    const auto keys = visual_of(input, b, *fusion->visual_proj);
    for (std::int64_t m = 0; m < 2; ++m) {
      const auto pooled = block_by_hand(*fusion->block, plus(vector_of(fusion->queries[m]), text), keys, heads);
      const auto expected = plus(norm_by_hand(*fusion->ln_final, pooled), state_of(input, b, *fusion));
      EXPECT_LT(distance(fused[b][m], expected), tolerance) << "sample " << b;
    }
  }
}

}  // namespace
}  // namespace vlalign::vla::fusion_formulas_test
