// Trains the tiny model on made-up pairs and prints the process's peak memory; tests/tools/micro_batch_memory.sh
// compares batches.
//   vlalign_micro_batch_memory BATCH MICRO_BATCH none|equal|shared [STEPS]
#include <sys/resource.h>

#include <cstdio>
#include <cstdlib>
#include <iostream>
#include <string>

#include "tokenizers/clip_tokenizer.hpp"
#include "vlalign/core/random.hpp"
#include "vlalign/image/image.hpp"
#include "vlalign/loss/info_nce.hpp"
#include "vlalign/model/presets.hpp"
#include "vlalign/train/trainer.hpp"

namespace {

using namespace vlalign;

/// 16,384 pictures of 16 x 16 random pixels, each captioned with some of 300 words, the first ones the most frequent.
class MadeUpPairs : public PairSource {
 public:
  std::int64_t size() const override { return 16384; }
  std::string name(std::int64_t i) const override { return "pair " + std::to_string(i); }

  std::vector<std::string> captions(std::int64_t i) const override {
    Rng rng({1, static_cast<std::uint64_t>(i)});
    std::string caption = "a picture of";
    for (int word = 0; word < 8; ++word) caption += " word" + std::to_string(rng.below(1 + rng.below(300)));
    return {caption};
  }

  Pair read(std::int64_t i) const override {
    Rng rng({2, static_cast<std::uint64_t>(i)});
    Image image{16, 16, std::vector<std::uint8_t>(3 * 16 * 16)};
    for (auto& byte : image.rgb) byte = static_cast<std::uint8_t>(rng.below(256));
    return {name(i), captions(i), encode_png(image)};
  }
};

DualEncoder tiny(const std::shared_ptr<const PairSource>& pairs) {
  return DualEncoder::create("tiny", train_tokenizer(all_captions(pairs), preset("tiny").text.vocab_size));
}

TrainerOptions options(const DualEncoder& model, int count, char** arguments) {
  const std::string targets = arguments[3];
  TrainerOptions how;
  how.batch_size = std::atoll(arguments[1]);
  how.micro_batch = std::atoll(arguments[2]);
  how.steps = count > 4 ? std::atoll(arguments[4]) : 2;
  how.schedule.warmup = 0;
  if (targets == "equal") how.targets = equal_captions();
  if (targets == "shared") how.targets = shared_tokens(*model.tokenizer());
  return how;
}

double peak_megabytes() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return static_cast<double>(usage.ru_maxrss) * 1024 / 1e6;  // Linux counts KiB
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 4) return std::cerr << "usage: see the head of tests/support/micro_batch_memory.cpp\n", 2;
  const auto pairs = std::make_shared<MadeUpPairs>();
  const auto model = tiny(pairs);
  const auto how = options(model, argc, argv);
  const double before = peak_megabytes();
  const auto seconds = Trainer(model, InfoNCE(), how).fit(pairs).seconds;
  std::printf("batch %ld micro_batch %ld targets %s peak_mb %.1f before_mb %.1f seconds %.1f\n",
              static_cast<long>(how.batch_size), static_cast<long>(how.micro_batch), argv[3], peak_megabytes(), before,
              seconds);
}
