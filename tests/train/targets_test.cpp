#include "vlalign/train/targets.hpp"

#include <ATen/TensorOperators.h>
#include <ATen/ops/randint.h>
#include <ATen/ops/tensor.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <iterator>
#include <set>

#include "support/temp_folder.hpp"
#include "tokenizers/clip_tokenizer.hpp"
#include "vlalign/core/error.hpp"

namespace vlalign::targets_test {
namespace {

/// No merges: its end and padding are what CLIP's are in its own small vocabulary.
const ClipTokenizer tokenizer{std::vector<ClipTokenizer::Merge>{}};

/// Captions of a start token, words, the end token and padding.
PairBatch captions() {
  PairBatch batch;
  const auto end = tokenizer.end_id(), pad = tokenizer.pad_id();
  batch.tokens = at::tensor({1L, 5L, 6L, end,   //
                             1L, 7L, end, pad,  //
                             1L, 5L, 6L, end,   //
                             1L, 6L, end, pad},
                            at::kLong)
                     .view({4, 4});
  return batch;
}

TEST(EqualCaptions, AreOneGroup) {
  const auto groups = equal_captions().make(captions()).groups;
  EXPECT_TRUE(groups.equal(at::tensor({0, 1, 0, 2}, at::kLong))) << groups;
}

TEST(SharedTokens, SpreadTheRestByTheJaccardIndex) {
  const auto soft = shared_tokens(tokenizer, 0.6).make(captions()).soft.dense();
  // Caption 0 = {5, 6} shares all of itself with 2 and half with 3 = {6}: weights 1, 0, 1, 1/2, of a sum of 2.5.
  const std::array row{0.6 + 0.4 / 2.5, 0.0, 0.4 / 2.5, 0.4 * 0.5 / 2.5};
  for (std::int64_t j = 0; j < 4; ++j) EXPECT_NEAR(soft[0][j].item<double>(), row[j], 1e-6) << j;
  EXPECT_NEAR(soft[1][1].item<double>(), 1.0, 1e-6);
  EXPECT_TRUE(soft.sum(1).allclose(at::tensor({1.0, 1.0, 1.0, 1.0}, at::kFloat)));
}

/// |A and B| / |A or B| of sets, by the definition.
double jaccard(const std::set<std::int64_t>& a, const std::set<std::int64_t>& b) {
  std::vector<std::int64_t> common;
  std::set_intersection(a.begin(), a.end(), b.begin(), b.end(), std::back_inserter(common));
  const auto all = a.size() + b.size() - common.size();
  return all == 0 ? 0.0 : static_cast<double>(common.size()) / static_cast<double>(all);
}

TEST(SharedTokens, AreTheJaccardIndicesOfEachTwoSets) {
  constexpr std::int64_t size = 150;
  PairBatch batch;
  batch.tokens = at::randint(0, 40, {size, 9}).square() / 40;  // 0 is more frequent than 39
  batch.tokens = batch.tokens.to(at::kLong);
  batch.tokens.select(1, 0).fill_(77);  // all have it
  batch.tokens.select(1, 8).fill_(tokenizer.end_id());
  batch.tokens[4].fill_(tokenizer.pad_id());
  batch.tokens[4][0] = 77;  // a caption of nothing else
  std::vector<std::set<std::int64_t>> sets(size);
  for (std::int64_t i = 0; i < size; ++i) {
    for (std::int64_t t = 0; t < 9; ++t) sets[i].insert(batch.tokens[i][t].item<std::int64_t>());
    for (const std::int64_t id : {std::int64_t{77}, tokenizer.end_id(), tokenizer.pad_id()}) sets[i].erase(id);
  }
  const auto soft = shared_tokens(tokenizer, 0.7).make(batch).soft.dense();
  for (std::int64_t i = 0; i < size; ++i) {
    double sum = 0;
    const auto similar = [&](std::int64_t j) { return i == j ? 1.0 : jaccard(sets[i], sets[j]); };
    for (std::int64_t j = 0; j < size; ++j) sum += similar(j);
    for (std::int64_t j = 0; j < size; ++j)
      ASSERT_NEAR(soft[i][j].item<double>(), 0.3 * similar(j) / sum + (i == j ? 0.7 : 0.0), 1e-6) << i << " " << j;
  }
}

TEST(SharedTokens, AreTheSameInPartsAsInTheWhole) {
  const auto soft = shared_tokens(tokenizer, 0.6).make(captions()).soft;
  for (const auto rows : {tiles::RowRange{0, 1}, tiles::RowRange{1, 2}, tiles::RowRange{3, 1}})
    EXPECT_TRUE(soft.rows(rows).equal(soft.dense().narrow(0, rows.begin, rows.count))) << rows.begin;
}

TEST(SharedTokens, NamesAShareOutOfRange) {
  EXPECT_EQ(test::message_of<Error>([] { shared_tokens(tokenizer, 1.5); }),
            "[shared_tokens] own: expected 0 to 1, got 1.5");
}

}  // namespace
}  // namespace vlalign::targets_test
