#include "data/loading/batch_maker.hpp"

#include <ATen/Context.h>
#include <ATen/ops/empty.h>
#include <c10/util/Exception.h>

#include <algorithm>
#include <chrono>
#include <cstring>
#include <limits>
#include <new>
#include <system_error>
#include <utility>

#include "core/check.hpp"
#include "kernels/thread_count.hpp"

namespace vlalign {
namespace {

// What a generator is for: the part of its key that follows the seed.
constexpr std::uint64_t text_tag = 2;  // EpochPlan has 1, and 6 to 10
constexpr std::uint64_t augment_tag = 3;
constexpr std::uint64_t second_augment_tag = 4;
constexpr std::uint64_t clip_tag = 5;

constexpr std::int64_t last_batch = std::int64_t{1} << 62;
constexpr int most_prefetched = 1024;  // batches; each takes memory
constexpr std::int64_t largest_cache_mb = std::int64_t{1} << 40;

std::size_t at(std::int64_t i) { return static_cast<std::size_t>(i); }
std::uint64_t key(std::int64_t i) { return static_cast<std::uint64_t>(i); }

/// Throws now what would make every record bad.
void check_transform(const Preprocess& how, const Augmentation& augmentation) {
  Rng rng({0});
  augment({1, 1, {255, 255, 255}}, how, augmentation, rng);
}

/// A large source without runs is read in blocks all the same: a permutation of all would take memory.
std::vector<RecordRun> runs_of(const PictureTexts& records) {
  constexpr std::int64_t most_permuted = 1 << 22, run = 4096;
  auto runs = records.runs();
  if (!runs.empty()) return runs;
  const auto size = records.size();
  if (size <= most_permuted) return {{.records = size}};
  for (std::int64_t begin = 0; begin < size; begin += run) runs.push_back({.records = std::min(run, size - begin)});
  return runs;
}

OrderOptions order_options(const LoaderOptions& options) {
  return {.batch_size = std::max<std::int64_t>(1, options.batch_size),
          .shuffle = options.shuffle,
          .replacement = options.replacement,
          .block = options.shuffle_block,
          .seed = options.seed};
}

std::vector<std::int64_t> good_rows(const std::vector<std::string>& faults) {
  std::vector<std::int64_t> good;
  for (std::size_t row = 0; row < faults.size(); ++row)
    if (faults[row].empty()) good.push_back(static_cast<std::int64_t>(row));
  return good;
}

/// Moves the rows of `each` pictures to the front and cuts off what follows: [rows * each, 3, S, S].
at::Tensor compacted(at::Tensor& pixels, const std::vector<std::int64_t>& rows, std::int64_t each) {
  const auto row_bytes = at(each * pixels.stride(0));
  auto* bytes = pixels.mutable_data_ptr<std::uint8_t>();
  for (std::size_t to = 0; to < rows.size(); ++to) {
    const auto from = at(rows[to]);
    if (from != to) std::memcpy(bytes + to * row_bytes, bytes + from * row_bytes, row_bytes);
  }
  return pixels.narrow(0, 0, std::ssize(rows) * each).permute({0, 3, 1, 2});
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

/// The exception being handled; one about memory as an Error.
std::exception_ptr current_failure(const std::string& loader) {
  try {
    throw;
  } catch (const std::bad_alloc&) {
    return std::make_exception_ptr(Error(fmt::format("[{}] not enough memory for a batch", loader)));
  } catch (const c10::Error& error) {
    return std::make_exception_ptr(Error(fmt::format("[{}] {}", loader, error.what_without_backtrace())));
  } catch (...) {
    return std::current_exception();
  }
}

}  // namespace

std::vector<std::int64_t> PictureTexts::choose(std::int64_t record, Rng&) const { return {record}; }

struct BatchMaker::Slot {
  std::int64_t place = 0;   // counted from the start of the run
  std::int64_t number = 0;  // of the batch
  std::int64_t epoch = 0;
  std::int64_t begin = 0;                         // of its rows in the share
  std::int64_t rows = 0;                          // B
  bool again = false;                             // its records were given before
  EpochOrders::Order order;                       // of the epoch
  std::vector<std::int64_t> records;              // [B]
  at::Tensor pixels, second_pixels;               // uint8 [B * each, S, S, 3]; the second undefined unless asked for
  std::vector<std::vector<std::int64_t>> tokens;  // [B], each at most L
  std::vector<std::string> faults;                // [B], why a record is bad; empty for a good one
  std::vector<std::int64_t> bad_pictures;         // [B], of a bad one the picture that could not be read
  std::int64_t rows_taken = 0;
  std::int64_t rows_done = 0;
  std::exception_ptr failure;  // what is no bad record: a fault of the source or the tokenizer

  bool is_last_of_first(std::int64_t own_rows) const { return !again && begin + rows == own_rows; }
};

std::int64_t BatchMaker::piece_size() const {
  return options_.micro_batch > 0 ? std::min(options_.micro_batch, own_rows()) : own_rows();
}

std::int64_t BatchMaker::pieces() const { return (own_rows() - 1) / piece_size() + 1; }

std::int64_t BatchMaker::slots_per_batch() const { return options_.micro_batch > 0 ? 2 * pieces() : 1; }

BatchMaker::BatchMaker(std::string_view loader, std::string_view noun, std::unique_ptr<const PictureTexts> records,
                       std::shared_ptr<const Tokenizer> tokenizer, std::int64_t context_length,
                       const Preprocess& preprocess, const LoaderOptions& options, std::int64_t first)
    : loader_(loader),
      noun_(noun),
      records_(std::move(records)),
      tokenizer_(std::move(tokenizer)),
      context_length_(context_length),
      how_(preprocess),
      options_(options),
      cache_(options.cache_mb),
      orders_(runs_of(*records_), order_options(options)),
      records_per_epoch_(orders_.records_per_epoch()) {
  check_options();
  check_transform(how_, options_.augmentation);
  front_ = first * slots_per_batch();
  start();
}

BatchMaker::~BatchMaker() { stop(); }

void BatchMaker::check_options() const {
  check(tokenizer_ != nullptr, "[{}] tokenizer: expected one, got a null pointer", loader_);
  check_range("context_length", context_length_, 1, std::numeric_limits<std::int64_t>::max());
  check_range("batch_size", options_.batch_size, 1, std::numeric_limits<std::int64_t>::max());
  check_range("micro_batch", options_.micro_batch, 0, std::numeric_limits<std::int64_t>::max());
  check_range("threads", options_.threads, 1, largest_thread_count);
  check_range("prefetch", options_.prefetch, 1, most_prefetched);
  check_range("cache_mb", options_.cache_mb, 0, largest_cache_mb);
  check(!options_.pin_memory || at::hasCUDA(), "[{}] pin_memory: this machine has no CUDA GPU", loader_);
  check(options_.max_bad >= 0.0 && options_.max_bad <= 1.0, "[{}] max_bad: expected 0 to 1, got {}", loader_,
        options_.max_bad);
  check_range("shuffle_block", options_.shuffle_block, 0, std::numeric_limits<std::int64_t>::max());
  check(options_.batch_size <= records_per_epoch_,
        "[{}] batch size {} is larger than the data set's {} {}: it has no full batch; choose at most {}", loader_,
        options_.batch_size, records_per_epoch_, noun_, records_per_epoch_);
  const auto& share = options_.share;
  check(share.count >= 1 && share.index >= 0 && share.index < share.count,
        "[{}] share: expected an index from 0 and below its count, got {} of {}", loader_, share.index, share.count);
  check(share.count <= options_.batch_size,
        "[{}] batch size {} leaves some of the {} shares without a record: expected at least {}", loader_,
        options_.batch_size, share.count, share.count);
}

void BatchMaker::check_range(std::string_view what, std::int64_t value, std::int64_t least, std::int64_t most) const {
  check(value >= least, "[{}] {}: expected at least {}, got {}", loader_, what, least, value);
  check(value <= most, "[{}] {}: expected at most {}, got {}", loader_, what, most, value);
}

void BatchMaker::start() {
  workers_.reserve(at(options_.threads));
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
  const auto last = last_batch / slots_per_batch();
  check(number <= last, "[{}::seek] number: expected at most {}, got {}", loader_, last, number);
  {
    const std::lock_guard lock(mutex_);
    front_ = number * slots_per_batch();
    slots_.clear();
    open_.clear();
    orders_.clear();  // one may have failed
    expected_until_ = 0;
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
      open_.empty() ? open_next_slot(lock) : fill_next_row(lock);
    } catch (...) {
      if (!lock.owns_lock()) lock.lock();
      failure_ = current_failure(loader_);
      batch_ready_.notify_all();
    }
  }
}

bool BatchMaker::has_work() const { return !failure_ && (!open_.empty() || slots_.size() < at(options_.prefetch)); }

void BatchMaker::open_next_slot(std::unique_lock<std::mutex>& lock) {
  const auto slot = reserve_slot();
  std::exception_ptr failure;
  lock.unlock();
  try {
    make_room(*slot);
  } catch (...) {
    failure = current_failure(loader_);
  }
  lock.lock();
  const bool wanted = std::find(slots_.begin(), slots_.end(), slot) != slots_.end();  // seek() may have gone elsewhere
  if (!wanted) return;
  if (failure) return give_up(*slot, std::move(failure));
  open_.emplace(slot->place, slot);
  work_ready_.notify_all();
  expect_block(lock, *slot);
  make_next_order(lock, slot->epoch + 1);
}

/// Tells the source what this process reads of a block at its begin, and of the one after in its middle.
void BatchMaker::expect_block(std::unique_lock<std::mutex>& lock, const Slot& slot) {
  if (slot.number < expected_until_) return;
  const auto order = orders_.of(slot.epoch);
  const auto& plan = order.get();
  const auto batch = slot.number % batches_per_epoch();
  const auto begin = plan.block_begin(batch), end = plan.next_block(batch), middle = begin + (end - begin) / 2;
  expected_until_ = slot.number - batch + (batch < middle ? middle : end);
  lock.unlock();
  std::vector<std::int64_t> batches{batch};
  if (batch >= middle && end < batches_per_epoch()) batches.push_back(end);
  std::vector<std::int64_t> records(batches.size() * at(own_rows()));
  for (std::size_t i = 0; i < batches.size(); ++i)
    plan.fill(batches[i], options_.share.begin(options_.batch_size),
              std::span(records).subspan(i * at(own_rows()), at(own_rows())));
  records_->expect(records);
  lock.lock();
}

/// next() throws the failure when it is the batch's turn.
void BatchMaker::give_up(Slot& slot, std::exception_ptr failure) {
  slot.failure = std::move(failure);
  slot.rows_taken = slot.rows_done = slot.rows;
  batch_ready_.notify_all();
}

/// A place behind the last slot.
std::shared_ptr<BatchMaker::Slot> BatchMaker::reserve_slot() {
  auto slot = std::make_shared<Slot>();
  slot->place = front_ + static_cast<std::int64_t>(slots_.size());
  slot->number = slot->place / slots_per_batch();
  slot->epoch = slot->number / batches_per_epoch();
  slot->again = slot->place % slots_per_batch() >= pieces();
  slot->begin = slot->place % pieces() * piece_size();
  slot->rows = std::min(piece_size(), own_rows() - slot->begin);
  slot->order = orders_.of(slot->epoch);
  slots_.push_back(slot);
  return slot;
}

/// For the batch's rows, and which they are.
void BatchMaker::make_room(Slot& slot) const {
  slot.records.resize(at(slot.rows));
  slot.order.get().fill(slot.number % batches_per_epoch(), options_.share.begin(options_.batch_size) + slot.begin,
                        slot.records);
  slot.order = {};
  records_->read_ahead(slot.records);
  const auto pixels = [&] {
    return at::empty({slot.rows * records_->pictures_each(), how_.image_size, how_.image_size, 3},
                     at::TensorOptions(at::kByte).pinned_memory(options_.pin_memory));
  };
  slot.pixels = pixels();
  if (options_.second_view) slot.second_pixels = pixels();
  slot.tokens.resize(at(slot.rows));
  slot.faults.resize(at(slot.rows));
  slot.bad_pictures.resize(at(slot.rows));
}

/// Ahead of its epoch, while other workers go on with this one.
void BatchMaker::make_next_order(std::unique_lock<std::mutex>& lock, std::int64_t epoch) {
  if (orders_.has(epoch)) return;
  const auto order = orders_.of(epoch);
  auto old = orders_.drop_before(epoch - 1);
  lock.unlock();
  old.clear();
  order.wait();
  lock.lock();
}

void BatchMaker::fill_next_row(std::unique_lock<std::mutex>& lock) {
  const auto slot = open_.begin()->second;
  const auto row = slot->rows_taken++;
  if (slot->rows_taken == slot->rows) open_.erase(open_.begin());
  lock.unlock();
  auto failure = fill_row(*slot, row);
  lock.lock();
  if (failure && !slot->failure) slot->failure = std::move(failure);
  if (++slot->rows_done == slot->rows) batch_ready_.notify_all();
}

/// Fills one row of the batch. Returns what isn't the record's fault.
std::exception_ptr BatchMaker::fill_row(Slot& slot, std::int64_t row) noexcept {
  const auto record = slot.records[at(row)];
  try {
    auto& reading = slot.bad_pictures[at(row)];
    std::string text;
    try {
      write_pictures(slot, row, reading);
      text = draw_text(slot.epoch, reading = record);
    } catch (const Error& error) {
      slot.faults[at(row)] = describe_fault(records_->name(reading), error.what());
      return nullptr;
    }
    slot.tokens[at(row)] = tokenizer_->encode(text, context_length_);
    return nullptr;
  } catch (...) {
    return current_failure(loader_);
  }
}

///   reading: the picture that is being read
void BatchMaker::write_pictures(Slot& slot, std::int64_t row, std::int64_t& reading) {
  const auto record = reading = slot.records[at(row)];
  Rng rng({options_.seed, clip_tag, key(slot.epoch), key(record)});
  auto place = row * records_->pictures_each();
  for (const auto number : records_->choose(record, rng)) {
    reading = number;
    write_picture(slot, record, number, place++);
  }
}

/// All pictures of a record are augmented alike.
///   place: in the slot's pixels
void BatchMaker::write_picture(Slot& slot, std::int64_t record, std::int64_t number, std::int64_t place) {
  const auto original = picture(number);
  const auto write = [&](at::Tensor& pixels, std::uint64_t tag) {
    Rng rng({options_.seed, tag, key(slot.epoch), key(record)});
    const auto image = augment(*original, how_, options_.augmentation, rng);
    const auto row_bytes = at(pixels.stride(0));
    check(image.rgb.size() == row_bytes, "transformed to {}x{}, expected {}x{}", image.width, image.height,
          how_.image_size, how_.image_size);
    std::memcpy(pixels.mutable_data_ptr<std::uint8_t>() + at(place) * row_bytes, image.rgb.data(), row_bytes);
  };
  write(slot.pixels, augment_tag);
  if (options_.second_view) write(slot.second_pixels, second_augment_tag);
}

std::shared_ptr<const Image> BatchMaker::picture(std::int64_t number) {
  if (auto cached = cache_.find(number)) return cached;
  auto image = std::make_shared<const Image>(records_->picture(number));
  cache_.add(number, image);
  return image;
}

std::string BatchMaker::draw_text(std::int64_t epoch, std::int64_t record) const {
  Rng rng({options_.seed, text_tag, key(epoch), key(record)});
  return records_->text(record, rng);
}

// ---- on the caller's thread ----

PairBatch BatchMaker::next() {
  const auto asked = std::chrono::steady_clock::now();
  const auto slot = take_slot();
  const std::chrono::duration<double> waited = std::chrono::steady_clock::now() - asked;
  try {
    slot->again ? leave_out_again(*slot) : note_bad(*slot);
    auto batch = assemble(*slot);
    note_records(batch);
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
      lock, [this] { return failure_ || (!slots_.empty() && slots_.front()->rows_done == slots_.front()->rows); });
  if (!failure_ && slots_.front()->failure) failure_ = slots_.front()->failure;
  if (failure_) std::rethrow_exception(failure_);
  auto slot = std::move(slots_.front());
  slots_.pop_front();
  ++front_;
  lock.unlock();
  work_ready_.notify_all();
  return slot;
}

/// A piece holds the same records both times.
void BatchMaker::leave_out_again(Slot& slot) {
  for (std::size_t row = 0; row < slot.faults.size(); ++row) {
    auto& fault = slot.faults[row];
    const auto known = left_out_.find(slot.records[row]);
    if (known != left_out_.end()) fault = known->second;
    check(fault.empty() || known != left_out_.end(), "[{}] a record could be read, and a moment later not: {}", loader_,
          fault);
  }
}

/// Judged a batch at a time and in their order, so that it is the same for any number of threads.
void BatchMaker::note_bad(const Slot& slot) {
  const std::lock_guard lock(bad_mutex_);
  if (slot.begin == 0) left_out_.clear();
  for (std::size_t row = 0; row < slot.faults.size(); ++row) {
    if (slot.faults[row].empty()) continue;
    left_out_.emplace(slot.records[row], slot.faults[row]);
    if (!known_bad_.insert(slot.bad_pictures[row]).second) continue;
    if (is_shared()) {
      if (!shared_bad_.insert(slot.faults[row]).second) continue;
      new_bad_.push_back(slot.faults[row]);
    }
    bad_.add(slot.faults[row]);
  }
  if (!slot.is_last_of_first(own_rows())) return;
  rows_read_ += options_.batch_size;
  if (is_shared()) return;
  bad_.check_share(fmt::format("[{}]", loader_), std::min(rows_read_, records_->size()), options_.max_bad);
}

PairBatch BatchMaker::assemble(Slot& slot) const {
  const auto rows = good_rows(slot.faults);
  check(is_shared() || !slot.is_last_of_first(own_rows()) || std::ssize(left_out_) < own_rows(),
        "[{}] none of the {} records of batch {} could be read; the first is {}", loader_, options_.batch_size,
        slot.number, slot.faults.front());
  PairBatch batch;
  batch.number = slot.number;
  batch.epoch = slot.epoch;
  if (rows.empty()) return batch;
  const auto each = records_->pictures_each();
  batch.pixels = compacted(slot.pixels, rows, each);
  if (options_.second_view) batch.second_pixels = compacted(slot.second_pixels, rows, each);
  batch.tokens = stack_tokens(slot.tokens, rows, tokenizer_->pad_id());
  for (const auto row : rows) batch.records.push_back(slot.records[at(row)]);
  return batch;
}

void BatchMaker::note_records(const PairBatch& batch) {
  if (batch.number != batch_in_hand_) records_in_hand_.clear();
  batch_in_hand_ = batch.number;
  records_in_hand_.insert(batch.records.begin(), batch.records.end());
}

std::vector<std::string> BatchMaker::names_of_batch() const {
  std::vector<std::string> names;
  for (const auto record : records_in_hand_) names.push_back(records_->name(record));
  return names;
}

std::vector<std::string> BatchMaker::bad_records() const {
  auto all = records_->bad_records();
  const std::lock_guard lock(bad_mutex_);
  all.insert(all.end(), bad_.faults().begin(), bad_.faults().end());
  return all;
}

void BatchMaker::count_on_from(const BatchMaker& before) {
  const std::scoped_lock lock(bad_mutex_, before.bad_mutex_);
  known_bad_ = before.known_bad_;
  bad_ = before.bad_;
  new_bad_ = before.new_bad_;
  shared_bad_ = before.shared_bad_;
  rows_read_ = before.rows_read_;
}

std::vector<std::string> BatchMaker::new_bad_records() {
  const std::lock_guard lock(bad_mutex_);
  return std::exchange(new_bad_, {});
}

void BatchMaker::add_bad_records(const std::vector<std::string>& faults) {
  const std::lock_guard lock(bad_mutex_);
  for (const auto& fault : faults)
    if (shared_bad_.insert(fault).second) bad_.add_quietly(fault);
}

void BatchMaker::check_bad_records() const {
  const std::lock_guard lock(bad_mutex_);
  bad_.check_share(fmt::format("[{}]", loader_), std::min(rows_read_, records_->size()), options_.max_bad);
}

}  // namespace vlalign
