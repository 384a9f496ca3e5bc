// Trains the quick start's model twice, with InfoNCE and with the loss of our own, and evaluates both:
//
//     custom_loss build/data/emoji-en [STEPS]
#include <charconv>
#include <cstdio>
#include <exception>
#include <string_view>

#include "margin_info_nce.hpp"

namespace {

void compare(const char* name, const vlalign::AnyLoss& loss, const std::string& data, std::int64_t steps) {
  const auto pairs = vlalign::open_pairs(data + "/train.jsonl");
  const auto tokenizer = vlalign::train_tokenizer(vlalign::all_captions(pairs), 2048);
  const auto model = vlalign::DualEncoder::create("tiny", tokenizer, /*seed=*/1);
  vlalign::Trainer trainer(model, loss,
                           {.batch_size = 256,
                            .steps = steps,
                            .learning_rate = 2e-3,
                            .grad_clip = 1.0,
                            .precision = vlalign::Precision::bf16,
                            .augmentation = vlalign::augmentation_policy("mild")});
  trainer.on_step(vlalign::Progress());
  trainer.fit(pairs);
  const auto scores = vlalign::evaluate_retrieval(model, vlalign::open_pairs(data + "/combinations.jsonl"));
  std::printf("%-15s recall@1 of captions %.1f%%, of pictures %.1f%%\n", name, 100 * scores.image_to_text.recall_at_1,
              100 * scores.text_to_image.recall_at_1);
}

}  // namespace

int main(int argc, char** argv) try {
  if (argc < 2 || argc > 3) return std::fprintf(stderr, "usage: custom_loss DATA [STEPS]\n"), 2;
  const std::string_view given = argc == 3 ? argv[2] : "100";
  std::int64_t steps = 0;
  const auto [end, error] = std::from_chars(given.begin(), given.end(), steps);
  if (error != std::errc() || end != given.end())
    return std::fprintf(stderr, "custom_loss: STEPS: expected a whole number, got %s\n", argv[2]), 2;
  compare("InfoNCE", vlalign::InfoNCE(), argv[1], steps);
  compare("with a margin", MarginInfoNCE(), argv[1], steps);
} catch (const std::exception& error) {
  std::fprintf(stderr, "custom_loss: %s\n", error.what());
  return 1;
}
