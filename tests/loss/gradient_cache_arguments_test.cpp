#include <gtest/gtest.h>

#include "support/rows.hpp"
#include "support/temp_folder.hpp"
#include "vlalign/core/error.hpp"
#include "vlalign/loss/gradient_cache.hpp"
#include "vlalign/loss/info_nce.hpp"

namespace vlalign::gradient_cache_arguments_test {
namespace {

/// A batch of these pieces, and what backward_in_pieces says to it.
std::string message_for(std::int64_t pieces, const std::function<ContrastiveBatch(std::int64_t)>& encode) {
  ContrastiveBatch whole{{}, {}, test::scalar(10)};
  return test::message_of<Error>([&] { backward_in_pieces(InfoNCE(), pieces, encode, whole); });
}

ContrastiveBatch rows(std::int64_t size, std::int64_t dim = 4) {
  return {test::unit_rows(size, dim).requires_grad_(), test::unit_rows(size, dim).requires_grad_(), {}};
}

TEST(BackwardInPieces, NamesArgumentsThatDoNotFit) {
  const auto pair = [](std::int64_t) { return rows(2); };
  EXPECT_EQ(message_for(0, pair), "[backward_in_pieces] pieces: expected at least 1, got 0");
  EXPECT_EQ(message_for(-1, pair), "[backward_in_pieces] pieces: expected at least 1, got -1");
  EXPECT_EQ(message_for(2, {}), "[backward_in_pieces] encode: expected a function, got an empty one");
}

TEST(BackwardInPieces, NamesThePieceThatIsUnlikeTheOthers) {
  EXPECT_EQ(message_for(3,
                        [](std::int64_t k) {
                          auto piece = rows(2);
                          if (k == 1) piece.image.reset();
                          return piece;
                        }),
            "[backward_in_pieces] encode(1): expected an image [b, D]");
  EXPECT_EQ(message_for(2, [](std::int64_t) { return ContrastiveBatch(); }),
            "[backward_in_pieces] encode: expected an image [b, D] of some piece, got none of any");
  EXPECT_EQ(message_for(3, [](std::int64_t k) { return rows(2, k == 2 ? 5 : 4); }),
            "[backward_in_pieces] encode(2): expected the embeddings, sizes and dtypes of the first piece");
  EXPECT_EQ(message_for(2,
                        [](std::int64_t k) {
                          auto piece = rows(2);
                          if (k == 1) piece.text.reset();
                          return piece;
                        }),
            "[backward_in_pieces] encode(1): expected the embeddings, sizes and dtypes of the first piece");
}

TEST(BackwardInPieces, NamesThePieceThatComesBackWithOtherRows) {
  int calls = 0;
  EXPECT_EQ(message_for(2, [&](std::int64_t) { return rows(calls++ == 3 ? 3 : 2); }),
            "[backward_in_pieces] encode(1): gave 2 rows at first, 3 the second time");
}

}  // namespace
}  // namespace vlalign::gradient_cache_arguments_test
