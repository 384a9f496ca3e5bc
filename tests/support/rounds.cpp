// Trains, evaluates, saves, loads and destroys a small model in rounds, for a leak checker: tests/tools/sanitize.sh
// leak. Prints the memory in use on the way: what grows with the rounds without being lost shows there.
//   vlalign_rounds [ROUNDS]
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <fstream>

#include "support/colours.hpp"
#include "vlalign/core/error.hpp"
#include "vlalign/eval/retrieval.hpp"
#include "vlalign/model/live_encoder.hpp"

namespace vlalign {
namespace {

double resident_megabytes() {
  std::int64_t all = 0, resident = 0;
  std::ifstream("/proc/self/statm") >> all >> resident;
  return static_cast<double>(resident) * static_cast<double>(::sysconf(_SC_PAGESIZE)) / 1e6;
}

class Rounds : public test::Colours {
 public:
  explicit Rounds(std::int64_t rounds) : rounds_(rounds) { SetUp(); }

  void TestBody() override {
    for (std::int64_t i = 0; i < rounds_; ++i) {
      one(i);
      if (i % std::max<std::int64_t>(rounds_ / 10, 1) == 0)
        std::printf("round %lld: %.0f MB\n", static_cast<long long>(i), resident_megabytes());
    }
    std::printf("%lld rounds: %.0f MB\n", static_cast<long long>(rounds_), resident_megabytes());
  }

 private:
  void one(std::int64_t round) {
    const test::TempFolder runs;
    auto how = options(2);
    how.out = runs.path() / "run";
    how.checkpoints.every = 1;
    if (round % 3 == 1) how.micro_batch = 2;
    if (round % 3 == 2) how.ema_decay = 0.9;
    const auto trained = model(1, /*resnet=*/round % 2 == 1);
    train(trained, how);
    evaluate_retrieval(trained, pairs_);
    const auto loaded = DualEncoder::load(how.out / "model");
    const LiveEncoder live(loaded);
    const std::vector<std::uint8_t> pixels(3 * 48 * 40, 90);
    std::vector<float> embedding(static_cast<std::size_t>(live.dim()));
    live.embed(ImageView(pixels, 48, 40, ImageView::Format::rgb), embedding);
    EXPECT_THROW(DualEncoder::load(runs.path() / "nothing"), Error);
  }

  std::int64_t rounds_;
};

}  // namespace
}  // namespace vlalign

int main(int argc, char** argv) {
  testing::InitGoogleTest(&argc, argv);
  vlalign::Rounds rounds(argc > 1 ? std::stoll(argv[1]) : 1000);
  rounds.TestBody();
}
