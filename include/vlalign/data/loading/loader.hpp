#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "vlalign/core/export.hpp"
#include "vlalign/data/sources/pairs.hpp"
#include "vlalign/image/transform.hpp"
#include "vlalign/tokenizers/tokenizer.hpp"

namespace vlalign {

class BatchMaker;

/// What one training step eats, or a piece of it (LoaderOptions::micro_batch). B is the batch size, or the piece's,
/// less the records that could not be read.
struct PairBatch {
  at::Tensor pixels;                  ///< uint8 [B, 3, S, S], channels-last
  at::Tensor second_pixels;           ///< the same under another augmentation, if asked for
  at::Tensor tokens;                  ///< int64 [B, L], cut to the longest caption
  std::vector<std::int64_t> records;  ///< [B], indices into the source
  std::int64_t number = 0;            ///< of the batch, counted from the start of the run
  std::int64_t epoch = 0;
  double wait_s = 0.0;  ///< how long next() had to wait for it
};

/// Which of a batch's records a process makes, where `count` of them share each batch: their rows follow each other in
/// the order of the processes, and no two of them differ by more than one in their number.
struct BatchShare {
  std::int64_t index = 0, count = 1;

  std::int64_t begin(std::int64_t batch_size) const { return cut(batch_size, index); }
  std::int64_t rows(std::int64_t batch_size) const { return cut(batch_size, index + 1) - begin(batch_size); }

 private:
  std::int64_t cut(std::int64_t batch_size, std::int64_t i) const {
    return batch_size / count * i + batch_size % count * i / count;
  }
};

struct LoaderOptions {
  std::int64_t batch_size = 256;  ///< of all shares together
  /// The records of the batch that this loader makes; the others are neither read nor counted. How many records are
  /// bad is judged for the whole batch, and so by the one who knows all shares: max_bad is for a single share alone.
  BatchShare share{};
  /// Above 0, each batch comes in pieces of so many records (the last may be smaller), all of them once and then all
  /// again, as backward_in_pieces() asks for them. So memory holds a few pieces, not a batch; pictures that the cache
  /// doesn't hold are decoded twice.
  std::int64_t micro_batch = 0;
  int threads = 1;      ///< worker threads that decode and transform
  int prefetch = 4;     ///< batches, or pieces of them, made ahead
  bool shuffle = true;  ///< a new order each epoch; without it, the order of the source
  /// How many records are mixed with each other where a source has runs of them, such as shards; a data set that is no
  /// larger is mixed as a whole. 0: those of 128 batches, so that records of a shard that lie closer than 100 never
  /// meet in a batch, and at least 65,536.
  std::int64_t shuffle_block = 0;
  bool replacement = false;  ///< with shuffle: records, or runs of them, are drawn independently of each other
  std::uint64_t seed = 0;
  Augmentation augmentation{};
  bool second_view = false;      ///< each picture a second time, augmented independently
  std::int64_t cache_mb = 1024;  ///< decoded pictures kept in memory, so that small data sets are decoded once
  bool pin_memory = false;       ///< page-locked pixels, which a GPU fetches beside other work; needs one
  double max_bad =
      0.05;  ///< the run stops when more than this share of the records read so far (and at least 10) is bad
};

/// Makes training batches on worker threads. Batch k is a function of (source, options, k) alone, whatever the thread
/// count: the epoch's order, each sample's augmentation and its caption come from generators keyed by (seed, epoch,
/// sample). So a run that seeks to batch k goes on exactly as one that never stopped. The last incomplete batch of an
/// epoch is dropped. Of several captions one is picked uniformly for each epoch.
class VLALIGN_EXPORT Loader {
 public:
  /// Throws Error when the batch is larger than the data.
  Loader(std::shared_ptr<const PairSource> source, std::shared_ptr<const Tokenizer> tokenizer,
         std::int64_t context_length, const Preprocess& preprocess, const LoaderOptions& options);
  ~Loader();

  std::int64_t batches_per_epoch() const;

  /// The next call of next() gives batch `number`, or its first piece.
  void seek(std::int64_t number);

  /// Waits for the next batch, or piece of one; endless. A piece is empty, with undefined tensors, where none of its
  /// records could be read; it holds the same records both times. Throws Error when too many records are bad, naming
  /// the first of them.
  PairBatch next();

  /// Records that could not be read so far, each named once, "name: why": the source's own, then those with a bad
  /// picture.
  std::vector<std::string> bad_records() const;

 private:
  std::unique_ptr<BatchMaker> batches_;
};

}  // namespace vlalign
