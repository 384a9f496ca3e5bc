// Which records an epoch's batches hold, and in which order. Internal.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "vlalign/data/sources/pairs.hpp"

namespace vlalign {

struct OrderOptions {
  std::int64_t batch_size = 1;
  bool shuffle = true;
  bool replacement = false;  ///< records, or runs of them, are drawn independently: some come often, some never
  std::int64_t block = 0;    ///< records that are mixed with each other; 0: those of 128 batches, at least 65,536
  std::uint64_t seed = 0;
};

/// The records of one epoch, a function of (runs, options, epoch) alone.
///
/// Without shuffle the runs follow each other. A run of weight 2.5 comes twice; of all runs of that weight half of the
/// records come a third time, those that follow the half of the epoch before.
///
/// A data set that fits in a block of records is permuted as a whole. A larger one is read in blocks, so that few runs
/// are open at a time: the runs are put in a random order, and each block takes the next records of it, as many as its
/// T batches need. The records that lie between T * j and T * (j + 1) in the block are dealt out to its batches, row j
/// of each, so that
/// - a batch holds records of all runs of its block, evenly;
/// - rows that follow each other come from the same or the next run: a process that takes a slice of each batch touches
///   the runs of a slice of the block, and reads each of them from its begin to its end in every batch;
/// - with T of 116 or more, records of a run that lie closer than 100 never meet in a batch. For that a batch keeps,
///   within a block, to one of T / 16 cells of each T records.
class EpochPlan {
 public:
  EpochPlan(const std::vector<RecordRun>& runs, const OrderOptions& options, std::int64_t epoch);

  /// How many records an epoch holds: each run's times its weight.
  static std::int64_t records_per_epoch(const std::vector<RecordRun>& runs);

  /// The records of the rows from `row` on of a batch, counted from the epoch's first.
  void fill(std::int64_t batch, std::int64_t row, std::span<std::int64_t> records) const;

  /// The first batch of a batch's block.
  std::int64_t block_begin(std::int64_t batch) const;
  /// The first batch of the block after a batch's; behind the epoch's last batch for the last block.
  std::int64_t next_block(std::int64_t batch) const;

 private:
  struct Piece {
    std::int64_t first;  // record
    std::int64_t end;    // of its places in the epoch
  };

  struct RunGroup;

  static std::vector<RunGroup> groups_of(const std::vector<RecordRun>& runs);
  void add(std::int64_t first, std::int64_t records);
  void add_whole_passes(const std::vector<RecordRun>& runs);
  void add_partial_passes(const std::vector<RecordRun>& runs);
  void add_part_of_pass(const std::vector<RecordRun>& runs, const RunGroup& group, std::int64_t pass,
                        std::int64_t& skipped, std::int64_t& wanted);
  void draw_runs(const std::vector<RecordRun>& runs);
  void shuffle_pieces();
  std::int64_t places() const { return pieces_.empty() ? 0 : pieces_.back().end; }
  std::int64_t batches() const { return places() / options_.batch_size; }
  std::int64_t record_at(std::int64_t place) const;
  std::int64_t drawn_record(std::int64_t place) const;
  std::int64_t block_of(std::int64_t batch) const;
  std::int64_t first_batch_of(std::int64_t block) const;
  void deal(std::int64_t batch, std::int64_t row, std::span<std::int64_t> records) const;

  OrderOptions options_;
  std::int64_t epoch_;
  std::vector<Piece> pieces_;
  std::vector<std::int64_t> permutation_;  // of all places, where the epoch is permuted as a whole
  std::vector<RecordRun> drawn_from_;      // where its records are drawn independently
  std::int64_t blocks_ = 1;                // where it is read in blocks
  bool whole_ = true;
};

}  // namespace vlalign
