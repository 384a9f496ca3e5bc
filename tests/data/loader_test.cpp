#include "vlalign/data/loading/loader.hpp"

#include <ATen/Context.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cmath>
#include <filesystem>
#include <map>
#include <numeric>
#include <set>
#include <stdexcept>
#include <thread>

#include "core/random_permutation.hpp"
#include "data/loading/epoch_orders.hpp"
#include "support/byte_tokenizer.hpp"
#include "support/captured_log.hpp"
#include "vlalign/core/error.hpp"
#include "vlalign/core/random.hpp"
#include "vlalign/image/image.hpp"

namespace vlalign::loader_test {
namespace {

using test::ByteTokenizer;
using Records = std::vector<std::int64_t>;

constexpr int side = 8;
constexpr std::int64_t context_length = 16;

std::uint8_t grey_of(std::int64_t record) { return static_cast<std::uint8_t>(40 + record % 100); }

/// Pictures of one grey each, PNG files in memory. The captions of record r are "r:0", "r:1", ...
class GreyPairs : public PairSource {
 public:
  explicit GreyPairs(std::int64_t size, int captions = 1, std::set<std::int64_t> bad = {})
      : size_(size), captions_(captions), bad_(std::move(bad)) {}

  std::int64_t size() const override { return size_; }
  std::string name(std::int64_t record) const override {
    ++names;
    return called(record);
  }
  std::vector<std::string> captions(std::int64_t record) const override {
    std::vector<std::string> captions;
    for (int i = 0; i < captions_; ++i) captions.push_back(std::to_string(record) + ":" + std::to_string(i));
    return captions;
  }
  Pair read(std::int64_t record) const override {
    ++reads;
    if (delay.count() > 0) std::this_thread::sleep_for(delay);
    if (record == broken) throw std::logic_error("the source is broken");
    if (bad_.contains(record)) return {called(record), captions(record), std::vector<std::byte>(7)};
    const Image image{side, side, std::vector<std::uint8_t>(std::size_t{3} * side * side, grey_of(record))};
    return {called(record), captions(record), encode_png(image)};
  }

  mutable std::atomic<int> reads = 0, names = 0;
  std::int64_t broken = -1;
  std::chrono::milliseconds delay{0};

 private:
  static std::string called(std::int64_t record) { return "picture " + std::to_string(record); }

  std::int64_t size_;
  int captions_;
  std::set<std::int64_t> bad_;
};

Loader make_loader(std::shared_ptr<const PairSource> source, const LoaderOptions& options) {
  return Loader(std::move(source), std::make_shared<ByteTokenizer>(), context_length, {.image_size = side}, options);
}

/// Everything of a batch that training sees.
struct Contents {
  std::int64_t number, epoch;
  Records records;
  std::vector<std::uint8_t> pixels;  // [B, S, S, 3]
  std::vector<std::vector<std::int64_t>> tokens;
  bool operator==(const Contents&) const = default;
};

Contents contents_of(const PairBatch& batch) {
  Contents contents{batch.number, batch.epoch, batch.records, {}, {}};
  const auto rows = batch.pixels.permute({0, 2, 3, 1}).contiguous();
  contents.pixels.assign(rows.data_ptr<std::uint8_t>(), rows.data_ptr<std::uint8_t>() + rows.numel());
  for (std::int64_t row = 0; row < batch.tokens.size(0); ++row) {
    const auto* ids = batch.tokens.data_ptr<std::int64_t>() + row * batch.tokens.size(1);
    contents.tokens.emplace_back(ids, ids + batch.tokens.size(1));
  }
  return contents;
}

std::vector<Contents> next_batches(Loader& loader, int count) {
  std::vector<Contents> batches;
  for (int i = 0; i < count; ++i) batches.push_back(contents_of(loader.next()));
  return batches;
}

std::string caption_of(const PairBatch& batch, std::int64_t row) {
  const auto* ids = batch.tokens.data_ptr<std::int64_t>() + row * batch.tokens.size(1);
  return ByteTokenizer().decode({ids, static_cast<std::size_t>(batch.tokens.size(1))});
}

template <typename Exception, typename Function>
std::string thrown_by(Function function) {
  try {
    function();
  } catch (const Exception& error) {
    return error.what();
  }
  return "nothing was thrown";
}

#define EXPECT_HAS(text, part) EXPECT_NE((text).find(part), std::string::npos) << (text)

class LoaderTest : public testing::Test {
 protected:
  test::CapturedLog log_;
};

TEST_F(LoaderTest, GivesPixelsTokensAndRecordsOfTheSamePairs) {
  auto loader = make_loader(std::make_shared<GreyPairs>(12), {.batch_size = 4});
  for (int i = 0; i < 6; ++i) {
    const auto batch = loader.next();
    ASSERT_EQ(batch.pixels.sizes(), (at::IntArrayRef{4, 3, side, side}));
    EXPECT_EQ(batch.pixels.scalar_type(), at::kByte);
    EXPECT_TRUE(batch.pixels.is_contiguous(at::MemoryFormat::ChannelsLast));
    ASSERT_EQ(batch.tokens.size(0), 4);
    EXPECT_EQ(batch.tokens.scalar_type(), at::kLong);
    for (std::int64_t row = 0; row < 4; ++row) {
      const auto record = batch.records.at(static_cast<std::size_t>(row));
      EXPECT_EQ(caption_of(batch, row), std::to_string(record) + ":0");
      const auto pixels = batch.pixels.select(0, row);
      EXPECT_EQ(pixels.min().item<int>(), grey_of(record));
      EXPECT_EQ(pixels.max().item<int>(), grey_of(record));
    }
  }
}

TEST_F(LoaderTest, PadsTokensToTheLongestCaptionOfTheBatch) {
  auto loader = make_loader(std::make_shared<GreyPairs>(12), {.batch_size = 12, .shuffle = false});
  const auto tokens = contents_of(loader.next()).tokens;
  EXPECT_EQ(tokens[9], (Records{1, '9', ':', '0', 2, 0}));
  EXPECT_EQ(tokens[10], (Records{1, '1', '0', ':', '0', 2}));
}

TEST_F(LoaderTest, GivesEachRecordOnceAnEpochAndDropsTheIncompleteBatch) {
  auto loader = make_loader(std::make_shared<GreyPairs>(23), {.batch_size = 5, .threads = 2});
  EXPECT_EQ(loader.batches_per_epoch(), 4);
  std::vector<Records> epochs;
  for (std::int64_t number = 0; number < 12; ++number) {
    const auto batch = loader.next();
    EXPECT_EQ(batch.number, number);
    EXPECT_EQ(batch.epoch, number / 4);
    if (number % 4 == 0) epochs.emplace_back();
    epochs.back().insert(epochs.back().end(), batch.records.begin(), batch.records.end());
  }
  for (const auto& epoch : epochs) {
    const std::set<std::int64_t> distinct(epoch.begin(), epoch.end());
    EXPECT_EQ(distinct.size(), 20U);
    EXPECT_GE(*distinct.begin(), 0);
    EXPECT_LT(*distinct.rbegin(), 23);
  }
  EXPECT_NE(epochs[0], epochs[1]);
  EXPECT_NE(epochs[1], epochs[2]);
}

TEST_F(LoaderTest, KeepsTheOrderOfTheSourceWithoutShuffling) {
  auto loader = make_loader(std::make_shared<GreyPairs>(7), {.batch_size = 3, .shuffle = false});
  EXPECT_EQ(loader.next().records, (Records{0, 1, 2}));
  EXPECT_EQ(loader.next().records, (Records{3, 4, 5}));
  EXPECT_EQ(loader.next().records, (Records{0, 1, 2}));
}

TEST_F(LoaderTest, ShufflesAnotherWayWithAnotherSeed) {
  const auto source = std::make_shared<GreyPairs>(40);
  auto one = make_loader(source, {.batch_size = 40, .seed = 1});
  auto same = make_loader(source, {.batch_size = 40, .seed = 1});
  auto other = make_loader(source, {.batch_size = 40, .seed = 2});
  const auto records = one.next().records;
  EXPECT_EQ(records, same.next().records);
  EXPECT_NE(records, other.next().records);
}

TEST_F(LoaderTest, GivesTheSameBatchesForAnyNumberOfThreadsAndAnyCache) {
  const auto source = std::make_shared<GreyPairs>(50, 3, std::set<std::int64_t>{17});
  LoaderOptions options{.batch_size = 8, .seed = 3, .augmentation = {.brightness = 0.5}, .cache_mb = 0};
  auto reference = make_loader(source, options);
  const auto expected = next_batches(reference, 20);
  for (const auto threads : {1, 2, 4}) {
    for (const auto prefetch : {1, 7}) {
      options.threads = threads;
      options.prefetch = prefetch;
      options.cache_mb = 1;
      auto loader = make_loader(source, options);
      EXPECT_EQ(next_batches(loader, 20), expected) << threads << " threads, " << prefetch << " ahead";
    }
  }
}

TEST_F(LoaderTest, GoesOnAfterASeekAsIfItHadNeverStopped) {
  const auto source = std::make_shared<GreyPairs>(50, 3);
  const LoaderOptions options{.batch_size = 8, .threads = 3, .seed = 3, .augmentation = {.brightness = 0.5}};
  auto whole = make_loader(source, options);
  const auto expected = next_batches(whole, 20);
  auto loader = make_loader(source, options);
  for (const std::int64_t start : {13, 0, 5, 6, 19}) {
    loader.seek(start);
    for (auto number = start; number < std::min<std::int64_t>(start + 3, 20); ++number) {
      EXPECT_EQ(contents_of(loader.next()), expected[static_cast<std::size_t>(number)]);
    }
  }
}

TEST_F(LoaderTest, AugmentsAnewInEachEpoch) {
  auto loader = make_loader(std::make_shared<GreyPairs>(6),
                            {.batch_size = 6, .shuffle = false, .augmentation = {.brightness = 0.5}});
  EXPECT_NE(contents_of(loader.next()).pixels, contents_of(loader.next()).pixels);
}

TEST_F(LoaderTest, GivesASecondViewOfTheSamePicturesIfAsked) {
  // Record 1 can't be read; the others differ from each other by more than the augmentation can change.
  const auto source = std::make_shared<GreyPairs>(6, 1, std::set<std::int64_t>{1});
  const LoaderOptions options{
      .batch_size = 6, .shuffle = false, .augmentation = {.brightness = 0.01}, .second_view = true};
  const auto batch = make_loader(source, options).next();
  ASSERT_EQ(batch.second_pixels.sizes(), batch.pixels.sizes());
  EXPECT_FALSE(batch.second_pixels.equal(batch.pixels));
  for (std::int64_t row = 0; row < 5; ++row) {
    const auto grey = grey_of(batch.records[static_cast<std::size_t>(row)]);
    EXPECT_NEAR(batch.second_pixels.select(0, row).max().item<int>(), grey, 1) << row;
  }
  EXPECT_FALSE(make_loader(source, {.batch_size = 6}).next().second_pixels.defined());
}

TEST_F(LoaderTest, PicksEachCaptionEquallyOften) {
  constexpr int epochs = 300;
  auto loader = make_loader(std::make_shared<GreyPairs>(4, 3), {.batch_size = 4, .shuffle = false});
  std::map<std::string, int> counts;
  for (int epoch = 0; epoch < epochs; ++epoch) {
    const auto batch = loader.next();
    for (std::int64_t row = 0; row < 4; ++row) ++counts[caption_of(batch, row)];
  }
  EXPECT_EQ(counts.size(), 12U);
  const double deviation = std::sqrt(epochs * (1.0 / 3) * (2.0 / 3));
  for (const auto& [caption, count] : counts) EXPECT_NEAR(count, epochs / 3.0, 4 * deviation) << caption;
}

TEST_F(LoaderTest, ReadsEachPictureOnceWhenTheCacheHoldsAll) {
  const auto source = std::make_shared<GreyPairs>(12);
  auto cached = make_loader(source, {.batch_size = 4, .prefetch = 1});
  next_batches(cached, 9);
  EXPECT_EQ(source->reads, 12);

  const auto again = std::make_shared<GreyPairs>(12);
  auto uncached = make_loader(again, {.batch_size = 4, .prefetch = 1, .cache_mb = 0});
  next_batches(uncached, 9);
  EXPECT_GE(again->reads, 36);
}

TEST_F(LoaderTest, AsksForTheNamesOfBadRecordsAlone) {
  const auto source = std::make_shared<GreyPairs>(12, 2, std::set<std::int64_t>{5});
  auto loader = make_loader(source, {.batch_size = 12, .prefetch = 1, .shuffle = false});
  loader.next();
  EXPECT_LE(source->names, 2);  // the next epoch's may have been read ahead
  EXPECT_GE(source->names, 1);
}

std::vector<std::int64_t> first_records(const EpochOrders::Order& order) {
  std::vector<std::int64_t> records(1000);
  order.get().fill(0, 0, records);
  return records;
}

TEST(EpochOrders, AreOfEpochAndSeedMadeWhenTheyAreWaitedFor) {
  EpochOrders orders({{.records = 1000}}, {.batch_size = 1000, .seed = 7});
  const auto first = orders.of(0), third = orders.of(2);
  EXPECT_EQ(third.wait_for(std::chrono::seconds(0)), std::future_status::deferred);
  EXPECT_EQ(first_records(third), random_permutation(1000, {7, 1, 2}));
  EXPECT_NE(first_records(third), first_records(first));
  EXPECT_EQ(&orders.of(2).get(), &third.get());  // not made again
  EXPECT_EQ(orders.drop_before(2).size(), 1U);
  EXPECT_FALSE(orders.has(0));
  EXPECT_TRUE(orders.has(2));
}

TEST(EpochOrders, AreMadeOnceByManyThreadsThatWait) {
  EpochOrders orders({{.records = 60000}}, {.batch_size = 1000, .seed = 3});
  const auto order = orders.of(4);
  std::vector<const EpochPlan*> seen(8);
  std::vector<std::thread> threads;
  for (auto& one : seen) threads.emplace_back([&one, order] { one = &order.get(); });
  for (auto& thread : threads) thread.join();
  for (const auto* one : seen) EXPECT_EQ(one, seen.front());
}

TEST_F(LoaderTest, LeavesOutBadRecordsAndNamesEachOnce) {
  auto loader = make_loader(std::make_shared<GreyPairs>(6, 1, std::set<std::int64_t>{1, 3}),
                            {.batch_size = 6, .threads = 2, .shuffle = false});
  for (int epoch = 0; epoch < 3; ++epoch) {
    const auto batch = loader.next();
    EXPECT_EQ(batch.records, (Records{0, 2, 4, 5}));
    ASSERT_EQ(batch.pixels.size(0), 4);
    ASSERT_EQ(batch.tokens.size(0), 4);
    for (std::int64_t row = 0; row < 4; ++row) {
      const auto record = batch.records[static_cast<std::size_t>(row)];
      EXPECT_EQ(batch.pixels.select(0, row).max().item<int>(), grey_of(record));
      EXPECT_EQ(caption_of(batch, row), std::to_string(record) + ":0");
    }
  }
  const auto bad = loader.bad_records();
  ASSERT_EQ(bad.size(), 2U);
  EXPECT_TRUE(bad[0].starts_with("picture 1: ")) << bad[0];
  EXPECT_TRUE(bad[1].starts_with("picture 3: ")) << bad[1];
  EXPECT_EQ(log_.warnings(), 2U);
}

/// What two batches hold together; the tokens of one may be padded further.
void append(Contents& to, Contents from) {
  to.records.insert(to.records.end(), from.records.begin(), from.records.end());
  to.pixels.insert(to.pixels.end(), from.pixels.begin(), from.pixels.end());
  for (auto& ids : from.tokens) to.tokens.push_back(std::move(ids));
}

Contents without_padding(Contents contents) {
  for (auto& ids : contents.tokens) std::erase(ids, 0);
  return contents;
}

TEST_F(LoaderTest, GivesEachBatchInPiecesAndThenAgain) {
  for (const int threads : {1, 3}) {
    for (const std::int64_t piece : {1, 3, 10, 25}) {
      const auto pairs = std::make_shared<GreyPairs>(25, 3, std::set<std::int64_t>{4, 17});
      const LoaderOptions whole{.batch_size = 10, .threads = threads, .augmentation = {.brightness = 0.3}};
      auto in_pieces = whole;
      in_pieces.micro_batch = piece;
      auto expected = make_loader(pairs, whole), loader = make_loader(pairs, in_pieces);
      for (int batch = 0; batch < 5; ++batch) {
        const auto one = without_padding(contents_of(expected.next()));
        for (int pass = 0; pass < 2; ++pass) {
          Contents all{one.number, one.epoch, {}, {}, {}};
          for (std::int64_t begin = 0; begin < 10; begin += piece) {
            const auto part = loader.next();
            EXPECT_EQ(part.number, one.number);
            EXPECT_LE(std::ssize(part.records), piece);
            EXPECT_EQ(part.pixels.defined(), !part.records.empty());
            if (!part.records.empty()) append(all, without_padding(contents_of(part)));
          }
          EXPECT_EQ(all, one) << "threads " << threads << ", pieces of " << piece << ", batch " << batch;
        }
      }
      EXPECT_EQ(loader.bad_records().size(), 2U);
    }
  }
}

TEST_F(LoaderTest, SeeksTheFirstPieceOfABatch) {
  const auto pairs = std::make_shared<GreyPairs>(25);
  const LoaderOptions options{.batch_size = 10, .micro_batch = 4};
  auto loader = make_loader(pairs, options), later = make_loader(pairs, options);
  const auto pieces = next_batches(loader, 3 * 6);
  later.next();
  later.seek(2);
  EXPECT_EQ(next_batches(later, 6), std::vector(pieces.begin() + 12, pieces.end()));
}

TEST_F(LoaderTest, GivesTheSameRecordsAgainThoughOneCanBeReadByThen) {
  /// The first read of record 2 fails, as over a network, or the second.
  class Flaky : public GreyPairs {
   public:
    explicit Flaky(int which) : GreyPairs(4), which_(which) {}
    Pair read(std::int64_t record) const override {
      auto pair = GreyPairs::read(record);
      if (record == 2 && ++tries_ == which_) pair.image.resize(7);
      return pair;
    }

   private:
    int which_;
    mutable std::atomic<int> tries_ = 0;
  };
  const LoaderOptions options{.batch_size = 4, .micro_batch = 2, .shuffle = false, .cache_mb = 0};
  auto loader = make_loader(std::make_shared<Flaky>(1), options);
  const auto pieces = next_batches(loader, 4);
  EXPECT_EQ(pieces[1].records, Records{3});
  EXPECT_EQ(pieces[3].records, Records{3});
  auto later = make_loader(std::make_shared<Flaky>(2), options);
  next_batches(later, 3);
  EXPECT_HAS(thrown_by<Error>([&] { later.next(); }),
             "[Loader] a record could be read, and a moment later not: picture 2: ");
}

TEST_F(LoaderTest, NamesWhatTheSourceLeftOutBeforeItsOwnBadRecords) {
  class Lossy : public GreyPairs {
   public:
    Lossy() : GreyPairs(4, 1, std::set<std::int64_t>{1}) {}
    std::vector<std::string> bad_records() const override { return {"a.tsv:3: the caption is empty"}; }
  };
  auto loader = make_loader(std::make_shared<Lossy>(), {.batch_size = 4, .shuffle = false});
  loader.next();
  const auto bad = loader.bad_records();
  ASSERT_EQ(bad.size(), 2U);
  EXPECT_EQ(bad[0], "a.tsv:3: the caption is empty");
  EXPECT_HAS(bad[1], "picture 1: ");
}

TEST_F(LoaderTest, RefusesABatchInPiecesWithoutAGoodRecord) {
  auto loader = make_loader(std::make_shared<GreyPairs>(6, 1, std::set<std::int64_t>{3, 4, 5}),
                            {.batch_size = 3, .micro_batch = 1, .shuffle = false});
  for (int piece = 0; piece < 8; ++piece) loader.next();
  EXPECT_HAS(thrown_by<Error>([&] { loader.next(); }), "none of the 3 records of batch 1 could be read");
}

TEST_F(LoaderTest, JudgesBadRecordsByTheBatchAlsoInPieces) {
  std::set<std::int64_t> bad;  // all of the first pieces, a tenth of the batch
  for (std::int64_t record = 0; record < 10; ++record) bad.insert(record);
  auto loader = make_loader(std::make_shared<GreyPairs>(100, 1, bad),
                            {.batch_size = 100, .micro_batch = 5, .shuffle = false, .max_bad = 0.1});
  for (int piece = 0; piece < 40; ++piece) loader.next();
  EXPECT_EQ(loader.bad_records().size(), 10U);
}

TEST_F(LoaderTest, StopsAtTheSameBatchForAnyNumberOfThreadsWhenTooManyAreBad) {
  // From record 40 on every other one is bad, so batches 4, 5, ... hold 5 bad ones of 10: after batch 5 there are 10
  // bad of 60, at least ten and more than a twentieth.
  std::set<std::int64_t> bad;
  for (std::int64_t record = 41; record < 100; record += 2) bad.insert(record);
  for (const auto threads : {1, 4}) {
    auto loader =
        make_loader(std::make_shared<GreyPairs>(100, 1, bad), {.batch_size = 10, .threads = threads, .shuffle = false});
    for (int i = 0; i < 5; ++i) loader.next();
    EXPECT_EQ(loader.bad_records().size(), 5U);
    for (int i = 0; i < 2; ++i) {  // it stays stopped
      const auto error = thrown_by<Error>([&] { loader.next(); });
      EXPECT_HAS(error, "10 of 60 records could not be read");
      EXPECT_HAS(error, "picture 41: ");
    }
  }
}

TEST_F(LoaderTest, ToleratesTheShareOfBadRecordsThatIsAllowed) {
  std::set<std::int64_t> bad;
  for (std::int64_t record = 0; record < 100; record += 5) bad.insert(record);
  auto loader = make_loader(std::make_shared<GreyPairs>(100, 1, bad),
                            {.batch_size = 10, .threads = 2, .shuffle = false, .max_bad = 0.2});
  for (int i = 0; i < 30; ++i) loader.next();
  EXPECT_EQ(loader.bad_records().size(), 20U);
}

TEST_F(LoaderTest, RefusesABatchWithoutAGoodRecord) {
  auto loader = make_loader(std::make_shared<GreyPairs>(6, 1, std::set<std::int64_t>{3, 4, 5}),
                            {.batch_size = 3, .shuffle = false});
  loader.next();
  const auto error = thrown_by<Error>([&] { loader.next(); });
  EXPECT_HAS(error, "none of the 3 records of batch 1 could be read");
  EXPECT_HAS(error, "picture 3: ");
}

TEST_F(LoaderTest, PassesOnWhatWorkersThrow) {
  for (const auto threads : {1, 3}) {
    const auto source = std::make_shared<GreyPairs>(12);
    source->broken = 7;
    auto loader = make_loader(source, {.batch_size = 3, .threads = threads, .shuffle = false});
    next_batches(loader, 2);
    EXPECT_EQ(thrown_by<std::logic_error>([&] { loader.next(); }), "the source is broken");
    EXPECT_EQ(thrown_by<std::logic_error>([&] { loader.next(); }), "the source is broken");
    loader.seek(3);
    EXPECT_EQ(loader.next().records, (Records{9, 10, 11}));
  }
}

TEST_F(LoaderTest, SaysWhichBatchSizeFits) {
  const auto error = thrown_by<Error>([] { make_loader(std::make_shared<GreyPairs>(120), {.batch_size = 256}); });
  EXPECT_HAS(error, "batch size 256 is larger than the data set's 120 pairs");
  EXPECT_HAS(error, "choose at most 120");
}

TEST_F(LoaderTest, RefusesOptionsOutOfRange) {
  const auto refusal = [](const LoaderOptions& options) {
    return thrown_by<Error>([&] { make_loader(std::make_shared<GreyPairs>(4), options); });
  };
  EXPECT_HAS(refusal({.batch_size = 0}), "batch_size: expected at least 1, got 0");
  EXPECT_HAS(refusal({.batch_size = 2, .threads = 0}), "threads: expected at least 1, got 0");
  EXPECT_HAS(refusal({.batch_size = 2, .prefetch = 0}), "prefetch: expected at least 1, got 0");
  EXPECT_HAS(refusal({.batch_size = 2, .cache_mb = -1}), "cache_mb: expected at least 0, got -1");
  EXPECT_HAS(refusal({.batch_size = 2, .augmentation = {.flip = 2}}), "flip: expected 0 to 1, got 2");
  EXPECT_HAS(refusal({.batch_size = 2, .max_bad = 1.5}), "max_bad: expected 0 to 1, got 1.5");
  auto loader = make_loader(std::make_shared<GreyPairs>(4), {.batch_size = 2});
  EXPECT_HAS(thrown_by<Error>([&] { loader.seek(-1); }), "number: expected at least 0, got -1");
}

TEST_F(LoaderTest, RefusesToPinMemoryWithoutAGpu) {
  if (at::hasCUDA()) GTEST_SKIP() << "this machine has a GPU";
  EXPECT_EQ(
      thrown_by<Error>([] { make_loader(std::make_shared<GreyPairs>(4), {.batch_size = 2, .pin_memory = true}); }),
      "[Loader] pin_memory: this machine has no CUDA GPU");
}

TEST_F(LoaderTest, OnCudaPinsMemoryThatHoldsTheSamePictures) {
  if (!at::hasCUDA()) GTEST_SKIP() << "this machine has no CUDA GPU";
  const auto batch_of = [](bool pinned) {
    const LoaderOptions options{.batch_size = 4, .second_view = true, .pin_memory = pinned};
    return make_loader(std::make_shared<GreyPairs>(4), options).next();
  };
  const auto pinned = batch_of(true), plain = batch_of(false);
  EXPECT_TRUE(pinned.pixels.is_pinned() && pinned.second_pixels.is_pinned());
  EXPECT_TRUE(pinned.pixels.equal(plain.pixels));
  EXPECT_TRUE(pinned.pixels.cuda().cpu().equal(plain.pixels));
}

TEST_F(LoaderTest, EndsAtAnyMoment) {
  const auto source = std::make_shared<GreyPairs>(30, 1, std::set<std::int64_t>{2});
  source->delay = std::chrono::milliseconds(1);
  for (int round = 0; round < 60; ++round) {
    auto loader = make_loader(source, {.batch_size = 3, .threads = 1 + round % 4, .prefetch = 1 + round % 3});
    for (int i = 0; i < round % 5; ++i) loader.next();
    if (round % 3 == 1) loader.seek(round);
    std::this_thread::sleep_for(std::chrono::microseconds(100 * (round % 7)));
  }
}

TEST_F(LoaderTest, OutlivesNoBatchItGave) {
  PairBatch batch;
  {
    auto loader = make_loader(std::make_shared<GreyPairs>(3), {.batch_size = 3, .shuffle = false});
    batch = loader.next();
  }
  EXPECT_EQ(batch.pixels.select(0, 2).min().item<int>(), grey_of(2));
}

TEST_F(LoaderTest, MeasuresHowLongTheCallerWaited) {
  const auto source = std::make_shared<GreyPairs>(4);
  source->delay = std::chrono::milliseconds(5);
  auto loader = make_loader(source, {.batch_size = 4, .shuffle = false, .cache_mb = 0});
  const auto before = std::chrono::steady_clock::now();
  const auto wait = loader.next().wait_s;
  const std::chrono::duration<double> elapsed = std::chrono::steady_clock::now() - before;
  EXPECT_GT(wait, 0.0);
  EXPECT_LE(wait, elapsed.count());
}

std::size_t running_threads() {
  const std::filesystem::directory_iterator tasks("/proc/self/task");
  return static_cast<std::size_t>(std::distance(begin(tasks), end(tasks)));
}

TEST_F(LoaderTest, StartsNoThreadsButItsWorkers) {
  const auto before = running_threads();
  auto loader = make_loader(std::make_shared<GreyPairs>(60),
                            {.batch_size = 20, .threads = 3, .augmentation = {.flip = 0.5, .brightness = 0.5}});
  for (int i = 0; i < 9; ++i) loader.next();
  EXPECT_EQ(running_threads(), before + 3);
}

}  // namespace
}  // namespace vlalign::loader_test
