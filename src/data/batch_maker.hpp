// What the loaders share: batches of pictures and texts made ahead on worker threads.
#pragma once

#include <ATen/core/Tensor.h>

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <exception>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>
#include <unordered_set>
#include <utility>
#include <vector>

#include "data/image_cache.hpp"
#include "vlalign/data/image.hpp"
#include "vlalign/data/loader.hpp"

namespace vlalign {

/// What batches are made of. Reading is safe from several threads.
class PictureTexts {
 public:
  virtual ~PictureTexts() = default;
  virtual std::int64_t size() const = 0;
  virtual std::string name(std::int64_t record) const = 0;                ///< for people
  virtual std::vector<std::string> texts(std::int64_t record) const = 0;  ///< at least one
  virtual Image picture(std::int64_t record) const = 0;                   ///< throws Error for a bad record
};

/// Keeps what Loader promises for any PictureTexts. Messages begin with the loader's name and call a record `noun`.
class BatchMaker {
 public:
  BatchMaker(std::string_view loader, std::string_view noun, std::unique_ptr<const PictureTexts> records,
             std::shared_ptr<const Tokenizer> tokenizer, std::int64_t context_length, const Preprocess& preprocess,
             const LoaderOptions& options);
  ~BatchMaker();

  std::int64_t batches_per_epoch() const { return records_->size() / options_.batch_size; }
  void seek(std::int64_t number);
  PairBatch next();
  std::vector<std::string> bad_records() const;

 private:
  /// A batch in the making. Each row is written by one worker.
  struct Slot;

  void check_options() const;
  void start();
  void stop();

  // On the workers.
  void work();
  bool has_work() const;
  std::pair<std::shared_ptr<Slot>, std::int64_t> take_row();
  std::shared_ptr<Slot> open_slot(std::int64_t number);
  std::vector<std::int64_t> batch_records(std::int64_t epoch, std::int64_t batch);
  std::exception_ptr fill_row(Slot& slot, std::int64_t row) noexcept;
  void write_pixels(Slot& slot, std::int64_t row);
  std::shared_ptr<const Image> picture(std::int64_t record);
  std::string pick_text(std::int64_t epoch, std::int64_t record) const;

  // On the caller's thread.
  std::shared_ptr<Slot> take_slot();
  void note_bad(const Slot& slot);
  PairBatch assemble(Slot& slot) const;

  // Set once.
  std::string loader_, noun_;
  std::unique_ptr<const PictureTexts> records_;
  std::shared_ptr<const Tokenizer> tokenizer_;
  std::int64_t context_length_;
  Preprocess how_;
  LoaderOptions options_;

  ImageCache cache_;

  // Between the workers and the caller, under mutex_. A worker takes the next row of the last slot, or opens a slot.
  std::mutex mutex_;
  std::condition_variable work_ready_;
  std::condition_variable batch_ready_;
  bool stopping_ = false;
  std::exception_ptr failure_;               // what next() throws until seek()
  std::int64_t front_ = 0;                   // the number of the batch that next() gives
  std::deque<std::shared_ptr<Slot>> slots_;  // of the batches front_, front_ + 1, ...
  std::int64_t next_row_ = 0;                // of the last slot
  std::int64_t order_epoch_ = -1;
  std::vector<std::int64_t> order_;  // of order_epoch_

  // Of the batches that next() has given, under bad_mutex_.
  mutable std::mutex bad_mutex_;
  std::unordered_set<std::int64_t> bad_;
  std::vector<std::string> bad_names_;
  std::int64_t rows_read_ = 0;

  std::vector<std::thread> workers_;
};

}  // namespace vlalign
