// The library may be used by objects that are made before main() begins, and before all of its own would be.
#include <gtest/gtest.h>

#include "tokenizers/clip_tokenizer.hpp"
#include "vlalign/image/transform.hpp"
#include "vlalign/loss/make_loss.hpp"
#include "vlalign/model/dual_encoder.hpp"
#include "vlalign/model/presets.hpp"

namespace vlalign::before_main_test {
namespace {

struct Early {
  ClipTokenizer tokenizer{std::vector<ClipTokenizer::Merge>{}};
  ModelConfig resnet = preset("RN50"), vit = preset("ViT-B-32");
  Augmentation mild = augmentation_policy("mild");
  std::vector<std::string> losses = loss_names();
};

[[gnu::init_priority(101)]] const Early early;  // as early as a program may ask for

TEST(BeforeMainTest, TheLibraryIsReady) {
  EXPECT_EQ(early.tokenizer.encode("a", 8).size(), 3U);  // start, word, end
  EXPECT_EQ(early.resnet.embed_dim, 1024);
  EXPECT_EQ(early.vit.embed_dim, 512);
  EXPECT_EQ(early.mild.rotate, 8);
  EXPECT_FALSE(early.losses.empty());
}

}  // namespace
}  // namespace vlalign::before_main_test
