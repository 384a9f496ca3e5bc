#include "vlalign/train/targets.hpp"

#include <ATen/TensorOperators.h>
#include <ATen/ops/tensor.h>
#include <gtest/gtest.h>

#include "support/temp_folder.hpp"
#include "vlalign/core/error.hpp"
#include "vlalign/data/clip_tokenizer.hpp"

namespace vlalign {
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
  const auto soft = shared_tokens(tokenizer, 0.6).make(captions()).soft;
  // Caption 0 = {5, 6} shares all of itself with 2 and half with 3 = {6}: weights 1, 0, 1, 1/2, of a sum of 2.5.
  const std::array row{0.6 + 0.4 / 2.5, 0.0, 0.4 / 2.5, 0.4 * 0.5 / 2.5};
  for (std::int64_t j = 0; j < 4; ++j) EXPECT_NEAR(soft[0][j].item<double>(), row[j], 1e-6) << j;
  EXPECT_NEAR(soft[1][1].item<double>(), 1.0, 1e-6);
  EXPECT_TRUE(soft.sum(1).allclose(at::tensor({1.0, 1.0, 1.0, 1.0}, at::kFloat)));
}

TEST(SharedTokens, NamesAShareOutOfRange) {
  EXPECT_EQ(test::message_of<Error>([] { shared_tokens(tokenizer, 1.5); }),
            "[shared_tokens] own: expected 0 to 1, got 1.5");
}

}  // namespace
}  // namespace vlalign
