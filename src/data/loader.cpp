#include "vlalign/data/loader.hpp"

#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <condition_variable>
#include <cstring>
#include <deque>
#include <exception>
#include <mutex>
#include <system_error>
#include <thread>
#include <unordered_set>
#include <utility>

#include "core/check.hpp"
#include "data/image_cache.hpp"
#include "vlalign/core/random.hpp"

namespace vlalign {
namespace {

// What a generator is for: the part of its key that follows the seed.
constexpr std::uint64_t order_tag = 1;
constexpr std::uint64_t caption_tag = 2;
constexpr std::uint64_t augment_tag = 3;
constexpr std::uint64_t second_augment_tag = 4;

constexpr std::size_t tolerated_bad = 10;  // fewer bad records than this never stop a run
constexpr std::size_t logged_bad = 10;
constexpr std::size_t quoted_bad = 5;

std::size_t at(std::int64_t i) { return static_cast<std::size_t>(i); }
std::uint64_t key(std::int64_t i) { return static_cast<std::uint64_t>(i); }

/// A batch in the making. Each row is written by one worker.
struct Slot {
  std::int64_t number = 0;
  std::int64_t epoch = 0;
  std::vector<std::int64_t> records;              // [B]
  at::Tensor pixels, second_pixels;               // uint8 [B, S, S, 3]; the second undefined unless asked for
  std::vector<std::vector<std::int64_t>> tokens;  // [B], each at most L
  std::vector<std::string> faults;                // [B], why a record is bad; empty for a good one
  std::int64_t rows_done = 0;
  std::exception_ptr failure;  // what is no bad record: a fault of the source or the tokenizer
};

/// Throws now what would make every record bad.
void check_transform(const Preprocess& how, const Augmentation& augmentation) {
  Rng rng({0});
  augment({1, 1, {255, 255, 255}}, how, augmentation, rng);
}

void check_options(std::int64_t pairs, std::int64_t context_length, const LoaderOptions& options) {
  check(context_length >= 1, "[Loader] context_length: expected at least 1, got {}", context_length);
  check(options.batch_size >= 1, "[Loader] batch_size: expected at least 1, got {}", options.batch_size);
  check(options.threads >= 1, "[Loader] threads: expected at least 1, got {}", options.threads);
  check(options.prefetch >= 1, "[Loader] prefetch: expected at least 1, got {}", options.prefetch);
  check(options.cache_mb >= 0, "[Loader] cache_mb: expected at least 0, got {}", options.cache_mb);
  check(options.max_bad >= 0.0 && options.max_bad <= 1.0, "[Loader] max_bad: expected 0 to 1, got {}", options.max_bad);
  check(options.batch_size <= pairs,
        "[Loader] batch size {} is larger than the data set's {} pairs: it has no full batch; choose at most {}",
        options.batch_size, pairs, pairs);
}

/// "name: why", where many messages begin with the name already.
std::string describe_fault(const std::string& name, const std::string& why) {
  return why.starts_with(name) ? why : name + ": " + why;
}

std::vector<std::int64_t> good_rows(const Slot& slot) {
  std::vector<std::int64_t> good;
  for (std::size_t row = 0; row < slot.faults.size(); ++row)
    if (slot.faults[row].empty()) good.push_back(static_cast<std::int64_t>(row));
  return good;
}

/// Moves the rows to the front and cuts off what follows: [rows, 3, S, S].
at::Tensor compacted(at::Tensor& pixels, const std::vector<std::int64_t>& rows) {
  const auto row_bytes = at(pixels.stride(0));
  auto* bytes = pixels.mutable_data_ptr<std::uint8_t>();
  for (std::size_t to = 0; to < rows.size(); ++to) {
    const auto from = at(rows[to]);
    if (from != to) std::memcpy(bytes + to * row_bytes, bytes + from * row_bytes, row_bytes);
  }
  return pixels.narrow(0, 0, static_cast<std::int64_t>(rows.size())).permute({0, 3, 1, 2});
}

/// int64 [rows, L], L the longest of them.
at::Tensor stack_tokens(const Slot& slot, const std::vector<std::int64_t>& rows, std::int64_t pad) {
  std::size_t length = 0;
  for (const auto row : rows) length = std::max(length, slot.tokens[at(row)].size());
  auto tokens = at::empty({static_cast<std::int64_t>(rows.size()), static_cast<std::int64_t>(length)}, at::kLong);
  auto* out = tokens.mutable_data_ptr<std::int64_t>();
  for (const auto row : rows) {
    const auto& ids = slot.tokens[at(row)];
    std::fill(std::copy(ids.begin(), ids.end(), out), out + length, pad);
    out += length;
  }
  return tokens;
}

}  // namespace

struct Loader::State {
  // Set once.
  std::shared_ptr<const PairSource> source;
  std::shared_ptr<const Tokenizer> tokenizer;
  std::int64_t context_length;
  Preprocess how;
  LoaderOptions options;

  ImageCache cache;

  // Between the workers and the caller, under `mutex`. A worker takes the next row of the last slot, or opens a slot.
  std::mutex mutex;
  std::condition_variable work_ready;
  std::condition_variable batch_ready;
  bool stopping = false;
  std::exception_ptr failure;               // what next() throws until seek()
  std::int64_t front = 0;                   // the number of the batch that next() gives
  std::deque<std::shared_ptr<Slot>> slots;  // of the batches front, front + 1, ...
  std::int64_t next_row = 0;                // of the last slot
  std::int64_t order_epoch = -1;
  std::vector<std::int64_t> order;  // of order_epoch

  // Of the batches that next() has given, under `bad_mutex`.
  std::mutex bad_mutex;
  std::unordered_set<std::int64_t> bad;
  std::vector<std::string> bad_names;
  std::int64_t rows_read = 0;

  std::vector<std::thread> workers;

  State(std::shared_ptr<const PairSource> pairs, std::shared_ptr<const Tokenizer> captions_tokenizer,
        std::int64_t length, const Preprocess& preprocess, const LoaderOptions& loader_options)
      : source(std::move(pairs)),
        tokenizer(std::move(captions_tokenizer)),
        context_length(length),
        how(preprocess),
        options(loader_options),
        cache(loader_options.cache_mb) {}

  ~State() {
    {
      const std::lock_guard lock(mutex);
      stopping = true;
    }
    work_ready.notify_all();
    for (auto& worker : workers) worker.join();
  }

  std::int64_t batches_per_epoch() const { return source->size() / options.batch_size; }

  /// Not in the constructor: when a thread can't be started, the destructor has to join the others.
  void start() {
    try {
      for (int i = 0; i < options.threads; ++i) workers.emplace_back([this] { work(); });
    } catch (const std::system_error& error) {
      fail("[Loader] threads: cannot start {}: {}", options.threads, error.code().message());
    }
  }

  void seek(std::int64_t number) {
    check(number >= 0, "[Loader::seek] number: expected at least 0, got {}", number);
    {
      const std::lock_guard lock(mutex);
      front = number;
      slots.clear();
      failure = nullptr;
    }
    work_ready.notify_all();
  }

  // ---- on the workers: no ATen operator runs here, so none starts a thread pool of its own ----

  void work() {
    std::unique_lock lock(mutex);
    for (;;) {
      work_ready.wait(lock, [this] { return stopping || has_work(); });
      if (stopping) return;
      try {
        const auto [slot, row] = take_row();
        lock.unlock();
        auto row_failure = fill_row(*slot, row);
        lock.lock();
        if (row_failure && !slot->failure) slot->failure = std::move(row_failure);
        if (++slot->rows_done == options.batch_size) batch_ready.notify_all();
      } catch (...) {  // no memory for another batch
        failure = std::current_exception();
        batch_ready.notify_all();
      }
    }
  }

  bool has_work() const {
    if (failure) return false;
    return (!slots.empty() && next_row < options.batch_size) || at(options.prefetch) > slots.size();
  }

  std::pair<std::shared_ptr<Slot>, std::int64_t> take_row() {
    if (slots.empty() || next_row == options.batch_size) {
      slots.push_back(open_slot(front + static_cast<std::int64_t>(slots.size())));
      next_row = 0;
    }
    return {slots.back(), next_row++};
  }

  std::shared_ptr<Slot> open_slot(std::int64_t number) {
    auto slot = std::make_shared<Slot>();
    slot->number = number;
    slot->epoch = number / batches_per_epoch();
    slot->records = batch_records(slot->epoch, number % batches_per_epoch());
    slot->pixels = at::empty({options.batch_size, how.image_size, how.image_size, 3}, at::kByte);
    if (options.second_view) slot->second_pixels = at::empty_like(slot->pixels);
    slot->tokens.resize(at(options.batch_size));
    slot->faults.resize(at(options.batch_size));
    return slot;
  }

  std::vector<std::int64_t> batch_records(std::int64_t epoch, std::int64_t batch) {
    std::vector<std::int64_t> records(at(options.batch_size));
    for (std::size_t row = 0; row < records.size(); ++row) {
      records[row] = batch * options.batch_size + static_cast<std::int64_t>(row);
    }
    if (!options.shuffle) return records;
    if (order_epoch != epoch) {
      order = random_permutation(source->size(), {options.seed, order_tag, key(epoch)});
      order_epoch = epoch;
    }
    for (auto& record : records) record = order[at(record)];
    return records;
  }

  /// Fills one row of the batch. Returns what isn't the record's fault.
  std::exception_ptr fill_row(Slot& slot, std::int64_t row) noexcept {
    const auto record = slot.records[at(row)];
    try {
      try {
        write_pixels(slot, row);
      } catch (const Error& error) {
        slot.faults[at(row)] = describe_fault(source->name(record), error.what());
        return nullptr;
      }
      slot.tokens[at(row)] = tokenizer->encode(pick_caption(slot.epoch, record), context_length);
      return nullptr;
    } catch (...) {
      return std::current_exception();
    }
  }

  void write_pixels(Slot& slot, std::int64_t row) {
    const auto record = slot.records[at(row)];
    const auto original = picture(record);
    const auto write = [&](at::Tensor& pixels, std::uint64_t tag) {
      Rng rng({options.seed, tag, key(slot.epoch), key(record)});
      const auto image = augment(*original, how, options.augmentation, rng);
      const auto row_bytes = at(pixels.stride(0));
      check(image.rgb.size() == row_bytes, "transformed to {}x{}, expected {}x{}", image.width, image.height,
            how.image_size, how.image_size);
      std::memcpy(pixels.mutable_data_ptr<std::uint8_t>() + at(row) * row_bytes, image.rgb.data(), row_bytes);
    };
    write(slot.pixels, augment_tag);
    if (options.second_view) write(slot.second_pixels, second_augment_tag);
  }

  std::shared_ptr<const Image> picture(std::int64_t record) {
    if (auto cached = cache.find(record)) return cached;
    const auto pair = source->read(record);
    auto image = std::make_shared<const Image>(decode_for_augment(pair.image, pair.name, how, options.augmentation));
    cache.add(record, image);
    return image;
  }

  std::string pick_caption(std::int64_t epoch, std::int64_t record) const {
    auto captions = source->captions(record);
    check(!captions.empty(), "[Loader] {}: the source gives no caption", source->name(record));
    Rng rng({options.seed, caption_tag, key(epoch), key(record)});
    return std::move(captions[at(rng.below(static_cast<std::int64_t>(captions.size())))]);
  }

  // ---- on the caller's thread ----

  PairBatch next() {
    const auto asked = std::chrono::steady_clock::now();
    const auto slot = take_slot();
    const std::chrono::duration<double> waited = std::chrono::steady_clock::now() - asked;
    try {
      note_bad(*slot);
      auto batch = assemble(*slot);
      batch.wait_s = waited.count();
      return batch;
    } catch (...) {
      const std::lock_guard lock(mutex);
      failure = std::current_exception();
      throw;
    }
  }

  /// Waits for the first slot to be whole.
  std::shared_ptr<Slot> take_slot() {
    std::unique_lock lock(mutex);
    batch_ready.wait(lock,
                     [this] { return failure || (!slots.empty() && slots.front()->rows_done == options.batch_size); });
    if (!failure && slots.front()->failure) failure = slots.front()->failure;
    if (failure) std::rethrow_exception(failure);
    auto slot = std::move(slots.front());
    slots.pop_front();
    ++front;
    lock.unlock();
    work_ready.notify_all();
    return slot;
  }

  /// Judged a batch at a time and in their order, so that it is the same for any number of threads.
  void note_bad(const Slot& slot) {
    const std::lock_guard lock(bad_mutex);
    for (std::size_t row = 0; row < slot.faults.size(); ++row) {
      if (slot.faults[row].empty() || !bad.insert(slot.records[row]).second) continue;
      bad_names.push_back(slot.faults[row]);
      if (bad.size() <= logged_bad) spdlog::warn("a record is skipped: {}", bad_names.back());
      if (bad.size() == logged_bad) spdlog::warn("more records may be skipped, they are counted but not named here");
    }
    rows_read += options.batch_size;
    const auto read = std::min(rows_read, source->size());
    check(bad.size() < tolerated_bad || static_cast<double>(bad.size()) <= options.max_bad * static_cast<double>(read),
          "[Loader] {} of {} records could not be read, more than max_bad = {} allows; the first are:\n  {}",
          bad.size(), read, options.max_bad,
          fmt::join(bad_names.begin(), bad_names.begin() + std::min(quoted_bad, bad_names.size()), "\n  "));
  }

  PairBatch assemble(Slot& slot) const {
    const auto rows = good_rows(slot);
    check(!rows.empty(), "[Loader] none of the {} records of batch {} could be read; the first is {}",
          options.batch_size, slot.number, slot.faults.front());
    PairBatch batch;
    batch.pixels = compacted(slot.pixels, rows);
    if (options.second_view) batch.second_pixels = compacted(slot.second_pixels, rows);
    batch.tokens = stack_tokens(slot, rows, tokenizer->pad_id());
    for (const auto row : rows) batch.records.push_back(slot.records[at(row)]);
    batch.number = slot.number;
    batch.epoch = slot.epoch;
    return batch;
  }
};

Loader::Loader(std::shared_ptr<const PairSource> source, std::shared_ptr<const Tokenizer> tokenizer,
               std::int64_t context_length, const Preprocess& preprocess, const LoaderOptions& options) {
  check(source != nullptr && tokenizer != nullptr, "[Loader] expected a source and a tokenizer, got a null pointer");
  check_options(source->size(), context_length, options);
  check_transform(preprocess, options.augmentation);
  state_ = std::make_unique<State>(std::move(source), std::move(tokenizer), context_length, preprocess, options);
  state_->start();
}

Loader::~Loader() = default;

std::int64_t Loader::batches_per_epoch() const { return state_->batches_per_epoch(); }

void Loader::seek(std::int64_t number) { state_->seek(number); }

PairBatch Loader::next() { return state_->next(); }

std::vector<std::string> Loader::bad_records() const {
  const std::lock_guard lock(state_->bad_mutex);
  return state_->bad_names;
}

}  // namespace vlalign
