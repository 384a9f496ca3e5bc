// A run whose model could not be written doesn't begin.
#include "support/colours.hpp"
#include "vlalign/core/error.hpp"

namespace vlalign::savable_test {
namespace {

class UnsavableModel : public test::Colours {
 protected:
  /// Of a ResNet that timm has no name for. Of width 4 oneDNN's strided 1x1 convolutions write behind its gradients.
  static DualEncoder unsavable() {
    auto config = model().config();
    config.vision = ResNetConfig{.layers = {1, 1, 1, 1}, .width = 16};
    return DualEncoder::create(config, model().tokenizer());
  }
};

TEST_F(UnsavableModel, IsRefusedBeforeTheFirstStepOfARunThatWouldWriteIt) {
  auto how = options(2);
  int steps = 0;
  const auto fit = [&] {
    Trainer trainer(unsavable(), InfoNCE(), how);
    trainer.on_step([&](const StepResult&) { ++steps; });
    trainer.fit(pairs_);
  };
  how.out = folder_.path() / "run";
  EXPECT_NE(test::message_of<Error>(fit).find("timm has no tower of these sizes"), std::string::npos);
  EXPECT_EQ(steps, 0);
  EXPECT_FALSE(std::filesystem::exists(how.out));
  how.out.clear();
  EXPECT_NO_THROW(fit());
  EXPECT_EQ(steps, 2);
}

}  // namespace
}  // namespace vlalign::savable_test
