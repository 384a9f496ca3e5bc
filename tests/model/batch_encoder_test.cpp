#include "vlalign/model/batch_encoder.hpp"

#include <ATen/TensorOperators.h>
#include <ATen/ops/mean.h>
#include <ATen/ops/ones.h>
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <filesystem>
#include <memory>
#include <mutex>
#include <numeric>
#include <optional>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "model/batch_queue.hpp"
#include "support/model_fixture.hpp"
#include "support/processor.hpp"
#include "support/temp_folder.hpp"
#include "vlalign/core/error.hpp"
#include "vlalign/model/live_encoder.hpp"
#include "vlalign/nn/dual_encoder.hpp"

namespace vlalign::batch_encoder_test {
namespace {

using namespace std::chrono_literals;
using test::message_of;

constexpr auto forever = 60s;  // no test waits so long
constexpr const char* destroyed = "[BatchEncoder] the encoder was destroyed before this was computed";

Image frame(int seed) {
  Image image{50, 40, std::vector<std::uint8_t>(3 * 50 * 40)};
  for (std::size_t i = 0; i < image.rgb.size(); ++i)
    image.rgb[i] = static_cast<std::uint8_t>((i * 13 + static_cast<std::size_t>(seed) * 77) % 256);
  return image;
}

std::string text(int seed) { return "cup" + std::string(static_cast<std::size_t>(seed), '!'); }

std::vector<float> place(const auto& encoder) { return std::vector<float>(static_cast<std::size_t>(encoder.dim())); }

std::vector<float> embed(const auto& encoder, const Image& image) {
  auto out = place(encoder);
  encoder.embed(ImageView(image), out);
  return out;
}

std::vector<float> embed(const auto& encoder, std::string_view words) {
  auto out = place(encoder);
  encoder.embed(words, out);
  return out;
}

std::int64_t sum(const std::vector<std::int64_t>& numbers) {
  return std::accumulate(numbers.begin(), numbers.end(), std::int64_t{0});
}

/// Holds a tower back, and says how many batches have begun.
class Gate {
 public:
  void pass() {
    std::unique_lock lock(mutex_);
    ++begun_;
    changed_.notify_all();
    changed_.wait(lock, [this] { return open_; });
  }
  void open() {
    const std::lock_guard lock(mutex_);
    open_ = true;
    changed_.notify_all();
  }
  void wait_until_begun(int batches) {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return begun_ >= batches; });
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  int begun_ = 0;
  bool open_ = false;
};

/// The mean colours. Waits at a gate, fails for white, and gives NaN for black.
class Colours : public nn::Tower {
 public:
  explicit Colours(std::shared_ptr<Gate> gate) : gate_(std::move(gate)) {
    scale = register_parameter("scale", at::ones({3}));
  }
  at::Tensor forward(const at::Tensor& pixels, at::ScalarType) override {
    if (gate_) gate_->pass();
    const auto means = pixels.mean({2, 3});
    if (means.amin(1).max().item<float>() > 0.99F) throw std::runtime_error("white");
    return scale * means / means.sum(1, /*keepdim=*/true);
  }
  std::int64_t width() const override { return 3; }
  at::Tensor scale;

 private:
  std::shared_ptr<Gate> gate_;
};

class Ids : public nn::Tower {
 public:
  Ids() { scale = register_parameter("scale", at::ones({3})); }
  at::Tensor forward(const at::Tensor& tokens, at::ScalarType) override {
    return scale * tokens.narrow(1, 0, 3).to(at::kFloat);
  }
  std::int64_t width() const override { return 3; }
  at::Tensor scale;
};

/// Every text is three tokens; counts them.
class CountedTokenizer : public Tokenizer {
 public:
  std::vector<std::int64_t> encode(std::string_view text, std::int64_t) const override {
    ++count;
    return {1, 2, static_cast<std::int64_t>(text.size())};
  }
  std::string decode(std::span<const std::int64_t>) const override { return {}; }
  std::int64_t vocab_size() const override { return 514; }
  std::int64_t pad_id() const override { return 0; }
  std::int64_t end_id() const override { return 0; }
  void save(const std::filesystem::path&) const override {}
  mutable std::atomic<int> count = 0;
};

DualEncoder colours(const std::shared_ptr<Gate>& gate = nullptr,
                    const std::shared_ptr<const Tokenizer>& tokenizer = std::make_shared<CountedTokenizer>()) {
  ModelConfig config;
  config.name = "colours";
  config.embed_dim = 3;
  config.vision = OwnTowers{};
  config.preprocess = {.image_size = 8, .mean = {0, 0, 0}, .std = {1, 1, 1}};
  config.text.context_length = 16;
  config.text.vocab_size = 514;
  nn::Initializer initializer(1);
  const auto module =
      std::make_shared<nn::DualEncoderImpl>(std::make_shared<Colours>(gate), std::make_shared<Ids>(), config.embed_dim,
                                            nn::DualEncoderImpl::Options{}, initializer);
  return {module, config, tokenizer};
}

Image grey(std::uint8_t level) { return {8, 8, std::vector<std::uint8_t>(3 * 8 * 8, level)}; }

class BatchEncoderOf : public testing::TestWithParam<std::tuple<const char*, Precision, bool>> {};

TEST_P(BatchEncoderOf, GivesManyThreadsWhatALiveEncoderGives) {
  const auto& [name, precision, one_shape] = GetParam();
  const bool to_the_bit = one_shape && test::has_avx512();  // with AVX2 oneDNN's sums aren't
  const auto model = test::peer_model(name);
  const LiveEncoder live(model, {.precision = precision, .threads = 1});
  const BatchEncoder encoder(model, {.precision = precision, .threads = 1, .most = 4, .one_shape = one_shape});
  constexpr int callers = 6, rounds = 10;
  const double tolerance = precision == Precision::fp32 ? 1e-6 : 1e-2;
  const auto expect_near = [tolerance](const std::vector<float>& got, const std::vector<float>& expected) {
    for (std::size_t i = 0; i < got.size(); ++i) EXPECT_NEAR(got[i], expected[i], tolerance);
  };
  std::vector<std::jthread> threads;
  for (int caller = 0; caller < callers; ++caller)
    threads.emplace_back([&, caller] {
      const auto image = frame(caller), other = frame(caller + callers);
      const auto first = embed(encoder, image);
      expect_near(first, embed(live, image));
      expect_near(embed(encoder, text(caller)), embed(live, text(caller)));
      for (int i = 0; i < rounds; ++i) {
        const auto again = embed(encoder, image);
        expect_near(again, first);
        EXPECT_TRUE(!to_the_bit || again == first) << "whatever is beside it";
        embed(encoder, other);
      }
    });
  threads.clear();
  const auto statistics = encoder.statistics();
  EXPECT_EQ(statistics.whole.count(), callers * (2 * rounds + 2));
  EXPECT_EQ(statistics.waiting.count(), statistics.whole.count());
  EXPECT_EQ(statistics.batch.count(), sum(statistics.batches));
}

INSTANTIATE_TEST_SUITE_P(Models, BatchEncoderOf,
                         testing::Combine(testing::Values("vit", "resnet"),
                                          testing::Values(Precision::fp32, Precision::bf16), testing::Bool()));

/// One call each in threads of their own; what they throw is kept.
class Callers {
 public:
  explicit Callers(const BatchEncoder& encoder) : encoder_(encoder) {}
  void start(const auto& frame_or_text) {
    answers_.push_back(std::make_unique<Answer>());
    threads_.emplace_back([this, &answer = *answers_.back(), given = frame_or_text] {
      try {
        answer.embedding = embed(encoder_, given);
      } catch (const Error& error) {
        answer.error = error.what();
      }
      ++ended_;
    });
  }
  void join() { threads_.clear(); }
  int ended() const { return ended_; }
  const std::vector<float>& embedding(std::size_t i) const { return answers_[i]->embedding; }
  const std::string& error(std::size_t i) const { return answers_[i]->error; }

 private:
  struct Answer {
    std::vector<float> embedding;
    std::string error;
  };
  const BatchEncoder& encoder_;
  std::atomic<int> ended_ = 0;
  std::vector<std::unique_ptr<Answer>> answers_;
  std::vector<std::jthread> threads_;
};

/// The kernels of products and attention that take a batch's rows one like the other.
bool has_even_kernels() {
#if defined(__x86_64__)
  return __builtin_cpu_supports("avx512bf16") != 0;
#else
  return false;
#endif
}

TEST(BatchEncoder, GivesTheSameBitsInBatchesOfSeveralSizes) {
  if (!has_even_kernels()) GTEST_SKIP() << "needs AVX-512 BF16";
  for (const auto precision : {Precision::fp32, Precision::bf16}) {
    std::vector<float> seen, said;
    for (const std::int64_t most : {2, 3, 5}) {
      const BatchEncoder encoder(test::peer_model("vit"),
                                 {.precision = precision, .threads = 1, .most = most, .delay = forever});
      Callers cameras(encoder), speakers(encoder);
      for (int i = 0; i < most; ++i) cameras.start(frame(i)), speakers.start(text(i));
      cameras.join(), speakers.join();
      if (seen.empty()) seen = cameras.embedding(0), said = speakers.embedding(0);
      EXPECT_EQ(cameras.embedding(0), seen) << most;
      EXPECT_EQ(speakers.embedding(0), said) << "beside longer ones";
    }
    const BatchEncoder encoder(test::peer_model("vit"), {.precision = precision, .threads = 1, .delay = 0us});
    EXPECT_EQ(embed(encoder, text(0)), said) << "alone";
  }
}

TEST(BatchEncoder, ComputesAFullBatchWithoutWaitingForMore) {
  const BatchEncoder encoder(test::peer_model("vit"), {.threads = 1, .most = 3, .delay = forever});
  Callers callers(encoder);
  for (int i = 0; i < 6; ++i) callers.start(frame(i));
  for (int i = 0; i < 3; ++i) callers.start(text(i));
  callers.join();
  EXPECT_EQ(encoder.statistics().batches, (std::vector<std::int64_t>{0, 0, 0, 3}));
}

TEST(BatchEncoder, ComputesALoneFrameOnceItHasWaited) {
  const BatchEncoder encoder(test::peer_model("vit"), {.threads = 1, .most = 3, .delay = 20ms});
  for (int i = 0; i < 4; ++i) embed(encoder, frame(i));
  EXPECT_EQ(encoder.statistics().batches, (std::vector<std::int64_t>{0, 4, 0, 0}));
  EXPECT_GE(encoder.statistics().waiting.quantile(0), 0.019);
}

TEST(BatchEncoder, KeepsTheTextsThatWereAskedForLast) {
  const BatchEncoder encoder(test::peer_model("vit"), {.threads = 1, .delay = 0us});
  const auto first = embed(encoder, "push");
  EXPECT_EQ(embed(encoder, "push"), first);
  EXPECT_EQ(sum(encoder.statistics().batches), 1);
}

TEST(BatchEncoder, RefusesWhatHasNoPlaceInItsQueue) {
  using WhenFull = BatchEncoderOptions::WhenFull;
  const auto gate = std::make_shared<Gate>();
  const BatchEncoder encoder(colours(gate),
                             {.threads = 1, .most = 1, .delay = 0us, .queue = 1, .when_full = WhenFull::error});
  Callers callers(encoder);
  callers.start(grey(10));
  gate->wait_until_begun(1);
  callers.start(grey(20));
  callers.start(grey(30));  // one of the two finds no place
  while (callers.ended() == 0) std::this_thread::yield();
  EXPECT_EQ(callers.error(1) + callers.error(2), "[BatchEncoder] the queue is full: 1 wait");
  gate->open();
  callers.join();
  EXPECT_EQ(callers.error(0), "");
  EXPECT_EQ(encoder.statistics().batches, (std::vector<std::int64_t>{0, 2}));
}

TEST(BatchEncoder, WaitsForAPlaceInItsQueue) {
  const BatchEncoder encoder(test::peer_model("vit"), {.threads = 1, .most = 2, .delay = 100us, .queue = 1});
  Callers callers(encoder);
  for (int i = 0; i < 12; ++i) callers.start(frame(i % 3));
  callers.join();
  for (std::size_t i = 0; i < 12; ++i) EXPECT_EQ(callers.embedding(i), embed(encoder, frame(static_cast<int>(i) % 3)));
}

TEST(BatchEncoder, TellsACallersFaultToThatCallerAlone) {
  const BatchEncoder encoder(colours(), {.threads = 1, .most = 2, .delay = forever});
  std::vector<float> small(2, 7.0F);
  const auto image = grey(50);
  EXPECT_EQ(message_of<Error>([&] { encoder.embed(ImageView(image), small); }),
            "[BatchEncoder] out: expected 3 numbers, got 2");
  EXPECT_EQ(message_of<Error>([&] { embed(encoder, " "); }), "[BatchEncoder] text: expected words, got a blank");
  Callers callers(encoder);
  callers.start(grey(0));
  callers.start(grey(50));
  callers.join();
  EXPECT_EQ(callers.error(0),
            "[BatchEncoder] the embedding isn't finite: weights or their products are NaN or infinite");
  EXPECT_EQ(callers.error(1), "");
  EXPECT_EQ(callers.embedding(1), embed(LiveEncoder(colours()), image));
}

TEST(BatchEncoder, TellsABatchsFailureToAllOfIt) {
  const BatchEncoder encoder(colours(), {.threads = 1, .most = 2, .delay = forever});
  Callers callers(encoder);
  callers.start(grey(255));
  callers.start(grey(50));
  callers.join();
  for (std::size_t i = 0; i < 2; ++i) EXPECT_EQ(callers.error(i), "[BatchEncoder] the batch failed: white");
  Callers later(encoder);
  for (int i = 0; i < 2; ++i) later.start(grey(50));
  later.join();
  EXPECT_EQ(later.error(0) + later.error(1), "");
}

TEST(BatchEncoder, AnswersWhoeverWaitsWhenItIsDestroyed) {
  const auto gate = std::make_shared<Gate>();
  const auto tokenizer = std::make_shared<CountedTokenizer>();
  std::optional<BatchEncoder> encoder(std::in_place, colours(gate, tokenizer),
                                      BatchEncoderOptions{.threads = 1, .most = 1, .delay = 0us});
  Callers callers(*encoder);
  callers.start(grey(10));
  gate->wait_until_begun(1);
  for (int i = 0; i < 4; ++i) callers.start(text(i));
  while (tokenizer->count < 4) std::this_thread::yield();  // which they do inside embed()
  std::jthread opener([&] {
    while (callers.ended() < 4) std::this_thread::yield();
    gate->open();
  });
  encoder.reset();
  callers.join();
  EXPECT_EQ(callers.error(0), "") << "it was being computed";
  for (std::size_t i = 1; i < 5; ++i) EXPECT_EQ(callers.error(i), destroyed);
}

TEST(BatchQueue, AnswersThoseWithoutAPlaceTooWhenItStops) {
  BatchQueue queue({.most = 2, .delay = forever, .bound = 1, .wait_when_full = true});
  std::atomic<int> refused = 0;
  std::vector<std::jthread> callers;
  for (int i = 0; i < 4; ++i)
    callers.emplace_back([&] {
      BatchQueue::Request request{.input = {}};
      const auto ask = [&] { BatchQueue::Call(queue).ask(BatchQueue::frames, request); };
      refused += message_of<Error>(ask) == destroyed;
    });
  std::this_thread::sleep_for(10ms);  // so that they mostly wait when it stops; they are refused later too
  queue.stop();
  EXPECT_FALSE(queue.next());
  callers.clear();
  queue.wait_for_calls();
  EXPECT_EQ(refused, 4);
}

TEST(BatchEncoder, FollowsAnUpdateOfTheWeightsBetweenBatches) {
  auto model = test::peer_model("vit");
  BatchEncoder encoder(model, {.threads = 1, .most = 2, .delay = 100us});
  const auto image = embed(encoder, frame(1)), words = embed(encoder, "a red cup");
  std::atomic<bool> stop = false;
  std::vector<std::jthread> cameras;
  for (int i = 0; i < 3; ++i)
    cameras.emplace_back([&] {
      while (!stop) embed(encoder, frame(1));
    });
  for (int i = 0; i < 5; ++i)
    encoder.update([&] {
      for (auto& parameter : model.module()->parameters()) parameter.data().mul_(1.02);  // isn't counted by LibTorch
    });
  stop = true;
  cameras.clear();
  EXPECT_NE(embed(encoder, frame(1)), image);
  EXPECT_NE(embed(encoder, "a red cup"), words);
  const LiveEncoder live(model, {.threads = 1});
  const auto expected = embed(live, frame(1)), got = embed(encoder, frame(1));
  for (std::size_t i = 0; i < got.size(); ++i) EXPECT_NEAR(got[i], expected[i], 1e-6);
}

TEST(BatchEncoder, GoesOnAfterAnUpdateThatThrew) {
  BatchEncoder encoder(test::peer_model("vit"), {.threads = 1, .delay = 0us});
  const auto image = embed(encoder, frame(1));
  EXPECT_THROW(encoder.update([] { throw Error("no such checkpoint"); }), Error);
  EXPECT_EQ(embed(encoder, frame(1)), image);
}

TEST(BatchEncoder, CanBeMoved) {
  BatchEncoder first(test::peer_model("vit"), {.threads = 1, .delay = 0us});
  const auto image = embed(first, frame(1));
  BatchEncoder second(std::move(first));
  EXPECT_EQ(embed(second, frame(1)), image);
  second.reset_statistics();
  EXPECT_EQ(sum(second.statistics().batches), 0);
  EXPECT_EQ(second.statistics().whole.count(), 0);
}

TEST(BatchEncoder, SaysWhatIsWrong) {
  const auto model = colours();
  const auto complaint = [&](const BatchEncoderOptions& options) {
    return message_of<Error>([&] { BatchEncoder(model, options); });
  };
  EXPECT_EQ(complaint({.threads = -1}), "[BatchEncoder] threads: expected 0 or more, got -1");
  EXPECT_EQ(complaint({.most = 0}), "[BatchEncoder] most: expected 1 to 4096, got 0");
  EXPECT_EQ(complaint({.most = 5000}), "[BatchEncoder] most: expected 1 to 4096, got 5000");
  EXPECT_EQ(complaint({.delay = -1us}), "[BatchEncoder] delay: expected 0 to 60 s, got -1 us");
  EXPECT_EQ(complaint({.delay = 2min}), "[BatchEncoder] delay: expected 0 to 60 s, got 120000000 us");
  EXPECT_EQ(complaint({.queue = 0}), "[BatchEncoder] queue: expected at least 1, got 0");
  EXPECT_EQ(complaint({.kept_texts = 0}), "[BatchEncoder] kept_texts: expected at least 1, got 0");
}

}  // namespace
}  // namespace vlalign::batch_encoder_test
