#include <fmt/format.h>

#include <algorithm>
#include <memory>
#include <nlohmann/json.hpp>
#include <set>

#include "core/fingerprint.hpp"
#include "core/io/files.hpp"
#include "core/log.hpp"
#include "remote/remote_options.hpp"
#include "tool/bench.hpp"
#include "tool/commands.hpp"
#include "tool/output.hpp"
#include "vlalign/data/loading/loader.hpp"

namespace vlalign::tool {
namespace {

struct LoaderFlags {
  DataFlags data;
  LoaderOptions options{.threads = 2, .cache_mb = 0};
  std::string augmentation = "none", tokenizer;
  std::int64_t ranks = 1, batches = 20, first = 0, image_size = 224;
  bool no_shuffle = false, each = false, json = false;
};

/// Of records, captions and pixels, row by row, so that it is the same however a batch is shared.
void add_rows(Fingerprint& print, const PairBatch& batch, std::int64_t pad) {
  if (batch.records.empty()) return;
  const auto pixels = batch.pixels.permute({0, 2, 3, 1}).contiguous();
  const auto tokens = batch.tokens.contiguous();
  const auto row_bytes = static_cast<std::size_t>(pixels.stride(0));
  for (std::int64_t row = 0; row < std::ssize(batch.records); ++row) {
    print.add(batch.records[static_cast<std::size_t>(row)]);
    const auto* ids = tokens.const_data_ptr<std::int64_t>() + row * tokens.size(1);
    auto length = tokens.size(1);
    while (length > 0 && ids[length - 1] == pad) --length;
    for (std::int64_t i = 0; i < length; ++i) print.add(ids[i]);
    const auto* bytes = pixels.const_data_ptr<std::uint8_t>() + static_cast<std::size_t>(row) * row_bytes;
    print.add(std::string_view(reinterpret_cast<const char*>(bytes), row_bytes));
  }
}

/// Which runs (shards) each rank has read from.
class TouchedRuns {
 public:
  TouchedRuns(const PairSource& source, std::int64_t ranks) : of_rank_(static_cast<std::size_t>(ranks)) {
    std::int64_t end = 0;
    for (const auto& run : source.runs()) ends_.push_back(end += run.records);
  }

  void add(std::size_t rank, const PairBatch& batch) {
    for (const auto record : batch.records)
      of_rank_[rank].insert(std::upper_bound(ends_.begin(), ends_.end(), record) - ends_.begin());
  }

  /// By one rank.
  std::int64_t most() const {
    if (ends_.empty()) return 0;
    std::int64_t most = 0;
    for (const auto& touched : of_rank_) most = std::max(most, std::ssize(touched));
    return most;
  }

 private:
  std::vector<std::int64_t> ends_;
  std::vector<std::set<std::ptrdiff_t>> of_rank_;
};

struct Measured {
  double open_s = 0, first_batch_s = 0, rest_s = 0;
  std::int64_t pictures = 0, rest = 0, bad = 0, open_shards = 0;
  TransferCounts transfers;
  std::string digest;

  /// Without the first batch's time where there are others.
  double pictures_per_s() const {
    return rest > 0 ? static_cast<double>(rest) / rest_s : static_cast<double>(pictures) / first_batch_s;
  }
};

Measured measure(const LoaderFlags& flags) {
  Measured result;
  std::shared_ptr<const PairSource> source;
  result.open_s = seconds_of([&] { source = flags.data.open(); });
  const auto tokenizer = load_tokenizer(flags.tokenizer.empty() ? share_folder() / "bpe_simple_vocab_16e6.txt.gz"
                                                                : std::filesystem::path(flags.tokenizer));
  const Preprocess how{.image_size = static_cast<int>(flags.image_size)};
  constexpr std::int64_t context_length = 77;  // CLIP's
  std::vector<std::unique_ptr<Loader>> loaders;
  TouchedRuns touched(*source, flags.ranks);
  Fingerprint print;
  auto number = flags.first;
  const auto next = [&] {
    Fingerprint of_batch;
    for (std::size_t rank = 0; rank < loaders.size(); ++rank) {
      const auto batch = loaders[rank]->next();
      result.pictures += std::ssize(batch.records);
      touched.add(rank, batch);
      add_rows(of_batch, batch, tokenizer->pad_id());
    }
    print.add(of_batch.hex());
    if (flags.each) log_info("batch {} {}", number, of_batch.hex());
    ++number;
  };
  result.first_batch_s = seconds_of([&] {
    for (std::int64_t rank = 0; rank < flags.ranks; ++rank) {
      auto options = flags.options;
      options.share = {.index = rank, .count = flags.ranks};
      loaders.push_back(std::make_unique<Loader>(source, tokenizer, context_length, how, options));
      loaders.back()->seek(flags.first);
    }
    next();
  });
  const auto first = result.pictures;
  result.rest_s = seconds_of([&] {
    for (std::int64_t batch = 1; batch < flags.batches; ++batch) next();
  });
  result.rest = result.pictures - first;
  result.open_shards = touched.most();
  for (const auto& loader : loaders) result.bad = std::max(result.bad, std::ssize(loader->bad_records()));
  result.transfers = transfer_counts();
  result.digest = print.hex();
  return result;
}

void run(LoaderFlags& flags) {
  flags.options.shuffle = !flags.no_shuffle;
  flags.options.augmentation = augmentation_policy(flags.augmentation);
  const auto result = measure(flags);
  const auto peak = peak_memory_mb();
  if (!flags.json) {
    fmt::print("opened in {:.2f} s, first batch after {:.2f} s more, then {:.0f} pictures/s, {:.0f} MB at most\n",
               result.open_s, result.first_batch_s, result.pictures_per_s(), peak);
    fmt::print("{} bad records, a rank reads from {} shard(s), digest {}\n", result.bad, result.open_shards,
               result.digest);
    return;
  }
  const nlohmann::ordered_json json = {{"pictures_per_s", result.pictures_per_s()},
                                       {"first_batch_s", result.first_batch_s},
                                       {"open_s", result.open_s},
                                       {"peak_mb", peak},
                                       {"open_shards", result.open_shards},
                                       {"pictures", result.pictures},
                                       {"bad", result.bad},
                                       {"requests", result.transfers.requests},
                                       {"retries", result.transfers.retries},
                                       {"bytes_received", result.transfers.bytes},
                                       {"digest", result.digest}};
  print_json(json);
}

}  // namespace

void add_bench_loader(CLI::App& bench) {
  auto* command = bench.add_subcommand("loader", "Training batches from a data set, without training on them");
  const auto flags = std::make_shared<LoaderFlags>();
  auto& o = flags->options;
  flags->data.add(*command);
  const auto number = [&](const char* name, auto& value, const char* text) {
    command->add_option(name, value, text)->check(above_zero)->capture_default_str();
  };
  number("--batch-size", o.batch_size, "Pairs a batch, of all ranks together");
  number("--threads", o.threads, "Threads of each rank that decode and augment pictures");
  number("--ranks", flags->ranks, "Loaders that share each batch, all in this process");
  number("--batches", flags->batches, "Batches to make");
  command->add_option("--first", flags->first, "Number of the first batch, counted from 0")
      ->check(zero_or_more)
      ->capture_default_str();
  command->add_flag("--each", flags->each, "Tell each batch's digest on stderr");
  number("--image-size", flags->image_size, "Side in pixels");
  number("--prefetch", o.prefetch, "Batches made ahead");
  command->add_option("--cache-mb", o.cache_mb, "Memory for decoded pictures")->capture_default_str();
  command->add_option("--shuffle-block", o.shuffle_block, "Records of shards that are mixed; 128 batches without it");
  command->add_option("--aug", flags->augmentation, "Augmentation, as in train")->capture_default_str();
  command->add_option("--tokenizer", flags->tokenizer, "Vocabulary file or folder; CLIP's without it");
  command->add_flag("--no-shuffle", flags->no_shuffle, "Keep the data's order");
  command->add_option("--seed", o.seed, "Of order, captions and augmentation")->capture_default_str();
  command->add_option("--max-bad", o.max_bad, "Share of bad records above which it stops")
      ->check(CLI::Range(0.0, 1.0))
      ->capture_default_str();
  command->add_flag("--json", flags->json, "Print one JSON object on stdout and nothing else there");
  command->callback([flags] {
    flags->data.columns.max_bad = flags->options.max_bad;
    run(*flags);
  });
}

}  // namespace vlalign::tool
