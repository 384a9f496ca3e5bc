#include "data/batch_maker.hpp"

#include <ATen/Context.h>
#include <ATen/ops/empty.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <chrono>
#include <cstring>
#include <system_error>

#include "core/check.hpp"
#include "core/thread_count.hpp"
#include "vlalign/core/random.hpp"

namespace vlalign {
namespace {

// What a generator is for: the part of its key that follows the seed.
constexpr std::uint64_t order_tag = 1;
constexpr std::uint64_t text_tag = 2;
constexpr std::uint64_t augment_tag = 3;
constexpr std::uint64_t second_augment_tag = 4;

constexpr int most_prefetched = 1024;  // batches; each takes memory
constexpr std::int64_t largest_cache_mb = std::int64_t{1} << 40;

constexpr std::size_t tolerated_bad = 10;  // fewer bad records than this never stop a run
constexpr std::size_t logged_bad = 10;
constexpr std::size_t quoted_bad = 5;

std::size_t at(std::int64_t i) { return static_cast<std::size_t>(i); }
std::uint64_t key(std::int64_t i) { return static_cast<std::uint64_t>(i); }

/// Throws now what would make every record bad.
void check_transform(const Preprocess& how, const Augmentation& augmentation) {
  Rng rng({0});
  augment({1, 1, {255, 255, 255}}, how, augmentation, rng);
}

/// "name: why", where many messages begin with the name already.
std::string describe_fault(const std::string& name, const std::string& why) {
  return why.starts_with(name) ? why : name + ": " + why;
}

std::vector<std::int64_t> good_rows(const std::vector<std::string>& faults) {
  std::vector<std::int64_t> good;
  for (std::size_t row = 0; row < faults.size(); ++row)
    if (faults[row].empty()) good.push_back(static_cast<std::int64_t>(row));
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
at::Tensor stack_tokens(const std::vector<std::vector<std::int64_t>>& ids_of_row, const std::vector<std::int64_t>& rows,
                        std::int64_t pad) {
  std::size_t length = 0;
  for (const auto row : rows) length = std::max(length, ids_of_row[at(row)].size());
  auto tokens = at::empty({static_cast<std::int64_t>(rows.size()), static_cast<std::int64_t>(length)}, at::kLong);
  auto* out = tokens.mutable_data_ptr<std::int64_t>();
  for (const auto row : rows) {
    const auto& ids = ids_of_row[at(row)];
    std::fill(std::copy(ids.begin(), ids.end(), out), out + length, pad);
    out += length;
  }
  return tokens;
}

}  // namespace

struct BatchMaker::Slot {
  std::int64_t number = 0;
  std::int64_t epoch = 0;
  std::vector<std::int64_t> records;              // [B]
  at::Tensor pixels, second_pixels;               // uint8 [B, S, S, 3]; the second undefined unless asked for
  std::vector<std::vector<std::int64_t>> tokens;  // [B], each at most L
  std::vector<std::string> faults;                // [B], why a record is bad; empty for a good one
  std::int64_t rows_done = 0;
  std::exception_ptr failure;  // what is no bad record: a fault of the source or the tokenizer
};

BatchMaker::BatchMaker(std::string_view loader, std::string_view noun, std::unique_ptr<const PictureTexts> records,
                       std::shared_ptr<const Tokenizer> tokenizer, std::int64_t context_length,
                       const Preprocess& preprocess, const LoaderOptions& options)
    : loader_(loader),
      noun_(noun),
      records_(std::move(records)),
      tokenizer_(std::move(tokenizer)),
      context_length_(context_length),
      how_(preprocess),
      options_(options),
      cache_(options.cache_mb) {
  check_options();
  check_transform(how_, options_.augmentation);
  start();
}

BatchMaker::~BatchMaker() { stop(); }

void BatchMaker::check_options() const {
  check(tokenizer_ != nullptr, "[{}] tokenizer: expected one, got a null pointer", loader_);
  check(context_length_ >= 1, "[{}] context_length: expected at least 1, got {}", loader_, context_length_);
  check(options_.batch_size >= 1, "[{}] batch_size: expected at least 1, got {}", loader_, options_.batch_size);
  check(options_.threads >= 1, "[{}] threads: expected at least 1, got {}", loader_, options_.threads);
  check(options_.threads <= largest_thread_count, "[{}] threads: expected at most {}, got {}", loader_,
        largest_thread_count, options_.threads);
  check(options_.prefetch >= 1, "[{}] prefetch: expected at least 1, got {}", loader_, options_.prefetch);
  check(options_.prefetch <= most_prefetched, "[{}] prefetch: expected at most {}, got {}", loader_, most_prefetched,
        options_.prefetch);
  check(options_.cache_mb >= 0, "[{}] cache_mb: expected at least 0, got {}", loader_, options_.cache_mb);
  check(options_.cache_mb <= largest_cache_mb, "[{}] cache_mb: expected at most {}, got {}", loader_, largest_cache_mb,
        options_.cache_mb);
  check(!options_.pin_memory || at::hasCUDA(), "[{}] pin_memory: this machine has no CUDA GPU", loader_);
  check(options_.max_bad >= 0.0 && options_.max_bad <= 1.0, "[{}] max_bad: expected 0 to 1, got {}", loader_,
        options_.max_bad);
  check(options_.batch_size <= records_->size(),
        "[{}] batch size {} is larger than the data set's {} {}: it has no full batch; choose at most {}", loader_,
        options_.batch_size, records_->size(), noun_, records_->size());
}

void BatchMaker::start() {
  try {
    for (int i = 0; i < options_.threads; ++i) workers_.emplace_back([this] { work(); });
  } catch (const std::system_error& error) {
    stop();
    fail("[{}] threads: cannot start {}: {}", loader_, options_.threads, error.code().message());
  }
}

void BatchMaker::stop() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  work_ready_.notify_all();
  for (auto& worker : workers_) worker.join();
}

void BatchMaker::seek(std::int64_t number) {
  check(number >= 0, "[{}::seek] number: expected at least 0, got {}", loader_, number);
  {
    const std::lock_guard lock(mutex_);
    front_ = number;
    slots_.clear();
    failure_ = nullptr;
  }
  work_ready_.notify_all();
}

// ---- on the workers: no ATen operator runs here, so none starts a thread pool of its own ----

void BatchMaker::work() {
  std::unique_lock lock(mutex_);
  for (;;) {
    work_ready_.wait(lock, [this] { return stopping_ || has_work(); });
    if (stopping_) return;
    try {
      const auto [slot, row] = take_row();
      lock.unlock();
      auto row_failure = fill_row(*slot, row);
      lock.lock();
      if (row_failure && !slot->failure) slot->failure = std::move(row_failure);
      if (++slot->rows_done == options_.batch_size) batch_ready_.notify_all();
    } catch (...) {  // no memory for another batch
      failure_ = std::current_exception();
      batch_ready_.notify_all();
    }
  }
}

bool BatchMaker::has_work() const {
  if (failure_) return false;
  return (!slots_.empty() && next_row_ < options_.batch_size) || at(options_.prefetch) > slots_.size();
}

std::pair<std::shared_ptr<BatchMaker::Slot>, std::int64_t> BatchMaker::take_row() {
  if (slots_.empty() || next_row_ == options_.batch_size) {
    slots_.push_back(open_slot(front_ + static_cast<std::int64_t>(slots_.size())));
    next_row_ = 0;
  }
  return {slots_.back(), next_row_++};
}

std::shared_ptr<BatchMaker::Slot> BatchMaker::open_slot(std::int64_t number) {
  auto slot = std::make_shared<Slot>();
  slot->number = number;
  slot->epoch = number / batches_per_epoch();
  slot->records = batch_records(slot->epoch, number % batches_per_epoch());
  const auto pixels = [&] {
    return at::empty({options_.batch_size, how_.image_size, how_.image_size, 3},
                     at::TensorOptions(at::kByte).pinned_memory(options_.pin_memory));
  };
  slot->pixels = pixels();
  if (options_.second_view) slot->second_pixels = pixels();
  slot->tokens.resize(at(options_.batch_size));
  slot->faults.resize(at(options_.batch_size));
  return slot;
}

std::vector<std::int64_t> BatchMaker::batch_records(std::int64_t epoch, std::int64_t batch) {
  std::vector<std::int64_t> records(at(options_.batch_size));
  for (std::size_t row = 0; row < records.size(); ++row) {
    records[row] = batch * options_.batch_size + static_cast<std::int64_t>(row);
  }
  if (!options_.shuffle) return records;
  if (order_epoch_ != epoch) {
    order_ = random_permutation(records_->size(), {options_.seed, order_tag, key(epoch)});
    order_epoch_ = epoch;
  }
  for (auto& record : records) record = order_[at(record)];
  return records;
}

/// Fills one row of the batch. Returns what isn't the record's fault.
std::exception_ptr BatchMaker::fill_row(Slot& slot, std::int64_t row) noexcept {
  const auto record = slot.records[at(row)];
  try {
    try {
      write_pixels(slot, row);
    } catch (const Error& error) {
      slot.faults[at(row)] = describe_fault(records_->name(record), error.what());
      return nullptr;
    }
    slot.tokens[at(row)] = tokenizer_->encode(pick_text(slot.epoch, record), context_length_);
    return nullptr;
  } catch (...) {
    return std::current_exception();
  }
}

void BatchMaker::write_pixels(Slot& slot, std::int64_t row) {
  const auto record = slot.records[at(row)];
  const auto original = picture(record);
  const auto write = [&](at::Tensor& pixels, std::uint64_t tag) {
    Rng rng({options_.seed, tag, key(slot.epoch), key(record)});
    const auto image = augment(*original, how_, options_.augmentation, rng);
    const auto row_bytes = at(pixels.stride(0));
    check(image.rgb.size() == row_bytes, "transformed to {}x{}, expected {}x{}", image.width, image.height,
          how_.image_size, how_.image_size);
    std::memcpy(pixels.mutable_data_ptr<std::uint8_t>() + at(row) * row_bytes, image.rgb.data(), row_bytes);
  };
  write(slot.pixels, augment_tag);
  if (options_.second_view) write(slot.second_pixels, second_augment_tag);
}

std::shared_ptr<const Image> BatchMaker::picture(std::int64_t record) {
  if (auto cached = cache_.find(record)) return cached;
  auto image = std::make_shared<const Image>(records_->picture(record));
  cache_.add(record, image);
  return image;
}

std::string BatchMaker::pick_text(std::int64_t epoch, std::int64_t record) const {
  auto texts = records_->texts(record);
  check(!texts.empty(), "[{}] {}: the source gives no caption", loader_, records_->name(record));
  Rng rng({options_.seed, text_tag, key(epoch), key(record)});
  return std::move(texts[at(rng.below(static_cast<std::int64_t>(texts.size())))]);
}

// ---- on the caller's thread ----

PairBatch BatchMaker::next() {
  const auto asked = std::chrono::steady_clock::now();
  const auto slot = take_slot();
  const std::chrono::duration<double> waited = std::chrono::steady_clock::now() - asked;
  try {
    note_bad(*slot);
    auto batch = assemble(*slot);
    batch.wait_s = waited.count();
    return batch;
  } catch (...) {
    const std::lock_guard lock(mutex_);
    failure_ = std::current_exception();
    throw;
  }
}

/// Waits for the first slot to be whole.
std::shared_ptr<BatchMaker::Slot> BatchMaker::take_slot() {
  std::unique_lock lock(mutex_);
  batch_ready_.wait(
      lock, [this] { return failure_ || (!slots_.empty() && slots_.front()->rows_done == options_.batch_size); });
  if (!failure_ && slots_.front()->failure) failure_ = slots_.front()->failure;
  if (failure_) std::rethrow_exception(failure_);
  auto slot = std::move(slots_.front());
  slots_.pop_front();
  ++front_;
  lock.unlock();
  work_ready_.notify_all();
  return slot;
}

/// Judged a batch at a time and in their order, so that it is the same for any number of threads.
void BatchMaker::note_bad(const Slot& slot) {
  const std::lock_guard lock(bad_mutex_);
  for (std::size_t row = 0; row < slot.faults.size(); ++row) {
    if (slot.faults[row].empty() || !bad_.insert(slot.records[row]).second) continue;
    bad_names_.push_back(slot.faults[row]);
    if (bad_.size() <= logged_bad) spdlog::warn("a record is skipped: {}", bad_names_.back());
    if (bad_.size() == logged_bad) spdlog::warn("more records may be skipped, they are counted but not named here");
  }
  rows_read_ += options_.batch_size;
  const auto read = std::min(rows_read_, records_->size());
  check(bad_.size() < tolerated_bad || static_cast<double>(bad_.size()) <= options_.max_bad * static_cast<double>(read),
        "[{}] {} of {} records could not be read, more than max_bad = {} allows; the first are:\n  {}", loader_,
        bad_.size(), read, options_.max_bad,
        fmt::join(bad_names_.begin(), bad_names_.begin() + std::min(quoted_bad, bad_names_.size()), "\n  "));
}

PairBatch BatchMaker::assemble(Slot& slot) const {
  const auto rows = good_rows(slot.faults);
  check(!rows.empty(), "[{}] none of the {} records of batch {} could be read; the first is {}", loader_,
        options_.batch_size, slot.number, slot.faults.front());
  PairBatch batch;
  batch.pixels = compacted(slot.pixels, rows);
  if (options_.second_view) batch.second_pixels = compacted(slot.second_pixels, rows);
  batch.tokens = stack_tokens(slot.tokens, rows, tokenizer_->pad_id());
  for (const auto row : rows) batch.records.push_back(slot.records[at(row)]);
  batch.number = slot.number;
  batch.epoch = slot.epoch;
  return batch;
}

std::vector<std::string> BatchMaker::bad_records() const {
  const std::lock_guard lock(bad_mutex_);
  return bad_names_;
}

}  // namespace vlalign
