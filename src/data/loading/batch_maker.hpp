// What the loaders share: batches of pictures and texts made ahead on worker threads.
#pragma once

#include <ATen/core/Tensor.h>

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <exception>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <thread>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "data/loading/epoch_orders.hpp"
#include "data/loading/image_cache.hpp"
#include "data/sources/bad_records.hpp"
#include "vlalign/core/random.hpp"
#include "vlalign/data/loading/loader.hpp"
#include "vlalign/image/image.hpp"

namespace vlalign {

/// What batches are made of: records of one picture, or of several where a record is a clip, with texts. Reading is
/// safe from several threads.
class PictureTexts {
 public:
  virtual ~PictureTexts() = default;
  virtual std::int64_t size() const = 0;
  virtual std::string name(std::int64_t picture) const = 0;           ///< for people
  virtual std::string text(std::int64_t record, Rng& rng) const = 0;  ///< one of its texts, drawn
  virtual Image picture(std::int64_t picture) const = 0;              ///< throws Error for a bad one
  virtual std::int64_t pictures_each() const { return 1; }            ///< of every record
  /// Chooses a record's pictures, pictures_each() of them. Pictures are numbered as records are: record i has picture
  /// i, and a clip some others too.
  ///   rng: the record's own in its epoch
  virtual std::vector<std::int64_t> choose(std::int64_t record, Rng& rng) const;
  virtual std::vector<RecordRun> runs() const { return {}; }           ///< as PairSource's
  virtual void read_ahead(std::span<const std::int64_t>) const {}      ///< as PairSource's
  virtual void expect(std::span<const std::int64_t>) const {}          ///< as PairSource's
  virtual std::vector<std::string> bad_records() const { return {}; }  ///< known before, and not among the others
};

/// Keeps what Loader promises for any PictureTexts. Messages begin with the loader's name and call a record `noun`. It
/// begins with batch `first`.
class BatchMaker {
 public:
  BatchMaker(std::string_view loader, std::string_view noun, std::unique_ptr<const PictureTexts> records,
             std::shared_ptr<const Tokenizer> tokenizer, std::int64_t context_length, const Preprocess& preprocess,
             const LoaderOptions& options, std::int64_t first = 0);
  ~BatchMaker();

  std::int64_t batches_per_epoch() const { return records_per_epoch_ / options_.batch_size; }
  /// How many records an epoch holds: a source's, or more or fewer where its runs have weights.
  std::int64_t records_per_epoch() const { return records_per_epoch_; }
  void seek(std::int64_t number);
  /// Where records have several pictures, pixels and second_pixels are [B * pictures_each(), 3, S, S].
  PairBatch next();
  std::vector<std::string> bad_records() const;
  /// Those of the last batch, all of its pieces so far.
  std::vector<std::string> names_of_batch() const;
  /// Counts on from the records that `before`, on the same source, has read and found bad.
  void count_on_from(const BatchMaker& before);

  // Where several loaders share each batch, these let every one of them know all bad records.
  /// Those that this loader found since it was last asked.
  std::vector<std::string> new_bad_records();
  /// Takes note of what others found.
  void add_bad_records(const std::vector<std::string>& faults);
  /// Throws Error when too many records of the batches so far are bad, as next() does for a loader without others.
  void check_bad_records() const;

 private:
  /// A batch, or a piece of one, in the making. Each row is written by one worker.
  struct Slot;

  bool is_shared() const { return options_.share.count > 1; }
  std::int64_t own_rows() const { return options_.share.rows(options_.batch_size); }
  std::int64_t piece_size() const;
  std::int64_t pieces() const;           ///< of a batch; 1 where it comes whole
  std::int64_t slots_per_batch() const;  ///< twice the pieces where it comes in pieces

  void check_options() const;
  void check_range(std::string_view what, std::int64_t value, std::int64_t least, std::int64_t most) const;
  void start();
  void stop();

  // On the workers. `lock` is of mutex_, held when they are called and when they return.
  void work();
  bool has_work() const;
  void open_next_slot(std::unique_lock<std::mutex>& lock);
  std::shared_ptr<Slot> reserve_slot();
  void make_room(Slot& slot) const;
  void expect_block(std::unique_lock<std::mutex>& lock, const Slot& slot);
  void give_up(Slot& slot, std::exception_ptr failure);
  void make_next_order(std::unique_lock<std::mutex>& lock, std::int64_t epoch);
  void fill_next_row(std::unique_lock<std::mutex>& lock);
  std::exception_ptr fill_row(Slot& slot, std::int64_t row) noexcept;
  void write_pictures(Slot& slot, std::int64_t row, std::int64_t& reading);
  void write_picture(Slot& slot, std::int64_t record, std::int64_t picture, std::int64_t place);
  std::shared_ptr<const Image> picture(std::int64_t number);
  std::string draw_text(std::int64_t epoch, std::int64_t record) const;

  // On the caller's thread.
  std::shared_ptr<Slot> take_slot();
  void leave_out_again(Slot& slot);
  void note_bad(const Slot& slot);
  void note_records(const PairBatch& batch);
  PairBatch assemble(Slot& slot) const;

  // Set once.
  std::string loader_, noun_;
  std::unique_ptr<const PictureTexts> records_;
  std::shared_ptr<const Tokenizer> tokenizer_;
  std::int64_t context_length_;
  Preprocess how_;
  LoaderOptions options_;

  ImageCache cache_;

  // Between the workers and the caller, under mutex_. A worker takes the next row of an open slot. Where none is open
  // it reserves one and opens it without the lock, since that takes memory and, once an epoch, a permutation.
  std::mutex mutex_;
  std::condition_variable work_ready_;
  std::condition_variable batch_ready_;
  bool stopping_ = false;
  std::exception_ptr failure_;                          // what next() throws until seek()
  std::int64_t front_ = 0;                              // the place of the slot that next() gives
  std::deque<std::shared_ptr<Slot>> slots_;             // front_, front_ + 1, ...
  std::map<std::int64_t, std::shared_ptr<Slot>> open_;  // those of them with rows to take, by place
  EpochOrders orders_;
  std::int64_t records_per_epoch_;
  std::int64_t expected_until_ = 0;  // the batch before which the source knows what is read

  // Of the batches that next() has given, under bad_mutex_.
  mutable std::mutex bad_mutex_;
  std::unordered_set<std::int64_t> known_bad_;  // pictures
  BadRecords bad_;
  std::vector<std::string> new_bad_;            // see new_bad_records()
  std::unordered_set<std::string> shared_bad_;  // all that are known, where others share the batch
  std::int64_t rows_read_ = 0;                  // of all shares

  std::int64_t batch_in_hand_ = -1;
  std::set<std::int64_t> records_in_hand_;  // of that batch: all of its pieces so far

  // Of the batch that next() gives.
  std::unordered_map<std::int64_t, std::string> left_out_;  // records that could not be read the first time, and why

  std::vector<std::thread> workers_;
};

}  // namespace vlalign
