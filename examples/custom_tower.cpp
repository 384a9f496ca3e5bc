// A DualEncoder with an image tower of one's own: derive from nn::Tower, say how wide the features are, and the
// projection, the loss and the trainer take it from there.
//
//     custom_tower PAIRS
#include <ATen/ops/relu.h>

#include <cstdio>
#include <exception>
#include <vlalign/nn/dual_encoder.hpp>
#include <vlalign/nn/text_transformer.hpp>
#include <vlalign/vlalign.hpp>

namespace {

/// Two convolutions and the mean over the map.
class SmallConvolutions : public vlalign::nn::Tower {
 public:
  explicit SmallConvolutions(vlalign::nn::Initializer& initializer)
      : first_(register_module("first", std::make_shared<vlalign::nn::Conv2d>(3, 32, 3, half, initializer))),
        second_(register_module("second", std::make_shared<vlalign::nn::Conv2d>(32, 64, 3, half, initializer))) {}

  at::Tensor forward(const at::Tensor& pixels, at::ScalarType compute) override {
    return at::relu(second_->forward(at::relu(first_->forward(pixels.to(compute))))).mean({2, 3});
  }
  std::int64_t width() const override { return 64; }

 private:
  static constexpr vlalign::nn::Conv2d::Options half{.stride = 2, .padding = 1};
  std::shared_ptr<vlalign::nn::Conv2d> first_, second_;
};

}  // namespace

int main(int argc, char** argv) try {
  if (argc != 2) return std::fprintf(stderr, "usage: custom_tower PAIRS\n"), 2;
  const auto pairs = vlalign::open_pairs(argv[1]);
  const auto tokenizer = vlalign::train_tokenizer(vlalign::all_captions(pairs), 1024);

  vlalign::ModelConfig config;
  config.name = "small convolutions";
  config.embed_dim = 128;
  config.vision = vlalign::OwnTowers{};
  config.text = {.context_length = 32, .vocab_size = tokenizer->vocab_size(), .width = 128, .heads = 2, .layers = 2};
  config.preprocess.image_size = 32;
  vlalign::nn::Initializer initializer(/*seed=*/1);
  const auto module = std::make_shared<vlalign::nn::DualEncoderImpl>(
      std::make_shared<SmallConvolutions>(initializer),
      std::make_shared<vlalign::nn::TextTransformer>(config.text, initializer), config.embed_dim,
      vlalign::nn::DualEncoderImpl::Options{}, initializer);
  vlalign::DualEncoder model(module, config, tokenizer);

  vlalign::Trainer trainer(model, vlalign::InfoNCE(), {.batch_size = 64, .steps = 100, .learning_rate = 1e-3});
  trainer.on_step(vlalign::Progress());
  trainer.fit(pairs);
} catch (const std::exception& error) {
  std::fprintf(stderr, "custom_tower: %s\n", error.what());
  return 1;
}
