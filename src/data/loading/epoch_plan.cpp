#include "data/loading/epoch_plan.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <utility>

#include "core/random_permutation.hpp"
#include "vlalign/core/random.hpp"

namespace vlalign {
namespace {

// What a generator is for: the part of its key that follows the seed. BatchMaker has 2 to 5.
constexpr std::uint64_t order_tag = 1;
constexpr std::uint64_t pieces_tag = 6;
constexpr std::uint64_t partial_tag = 7;
constexpr std::uint64_t draw_tag = 8;
constexpr std::uint64_t cells_tag = 9;
constexpr std::uint64_t deal_tag = 10;

constexpr std::int64_t usual_block = 128;        // batches
constexpr std::int64_t smallest_block = 65'536;  // records
constexpr std::int64_t neighbours = 100;         // records closer than this in a run don't meet
constexpr std::int64_t usual_cell = 16;

std::size_t slot(std::int64_t i) { return static_cast<std::size_t>(i); }
std::uint64_t part(std::int64_t i) { return static_cast<std::uint64_t>(i); }

std::int64_t whole_times(const RecordRun& run) { return static_cast<std::int64_t>(run.weight); }

/// The begin of part i of `count` parts of `size`, as equal as can be.
std::int64_t part_begin(std::int64_t size, std::int64_t count, std::int64_t i) {
  return size / count * i + size % count * i / count;
}

/// The part that holds `place`.
std::int64_t part_of(std::int64_t size, std::int64_t count, std::int64_t place) {
  auto part = std::min(count - 1, place / std::max<std::int64_t>(1, size / count));
  while (part_begin(size, count, part) > place) --part;
  while (part_begin(size, count, part + 1) <= place) ++part;
  return part;
}

std::int64_t cells_of(std::int64_t batches) { return batches < neighbours + usual_cell ? 1 : batches / usual_cell; }

}  // namespace

/// Runs begin, ..., end - 1 have one weight, and `before` records stand before them.
struct EpochPlan::RunGroup {
  std::size_t begin, end;
  std::int64_t before, records;
  double weight;

  /// How many records an epoch holds beyond the whole passes.
  std::int64_t partial() const { return std::llround((weight - std::floor(weight)) * static_cast<double>(records)); }
};

std::vector<EpochPlan::RunGroup> EpochPlan::groups_of(const std::vector<RecordRun>& runs) {
  std::vector<RunGroup> groups;
  std::int64_t before = 0;
  for (std::size_t i = 0; i < runs.size(); ++i) {
    if (groups.empty() || groups.back().weight != runs[i].weight)
      groups.push_back({.begin = i, .end = i, .before = before, .records = 0, .weight = runs[i].weight});
    groups.back().end = i + 1;
    groups.back().records += runs[i].records;
    before += runs[i].records;
  }
  return groups;
}

std::int64_t EpochPlan::records_per_epoch(const std::vector<RecordRun>& runs) {
  std::int64_t total = 0;
  for (const auto& run : runs) total += whole_times(run) * run.records;
  for (const auto& group : groups_of(runs)) total += group.partial();
  return total;
}

EpochPlan::EpochPlan(const std::vector<RecordRun>& runs, const OrderOptions& options, std::int64_t epoch)
    : options_(options), epoch_(epoch) {
  const auto records = records_per_epoch(runs);
  const auto usual = std::max(usual_block * options_.batch_size, smallest_block);
  const auto block = options_.block > 0 ? options_.block : usual;
  whole_ = !options_.shuffle || records <= block;
  const bool drawn = options_.shuffle && options_.replacement;
  drawn && !whole_ ? draw_runs(runs) : add_whole_passes(runs);
  if (!options_.shuffle) return;
  if (whole_) {
    if (drawn) drawn_from_ = runs;
    if (!drawn) permutation_ = random_permutation(places(), {options_.seed, order_tag, part(epoch_)});
    return;
  }
  blocks_ = std::max<std::int64_t>(1, batches() / std::max<std::int64_t>(1, block / options_.batch_size));
  if (!drawn) shuffle_pieces();
}

void EpochPlan::add(std::int64_t first, std::int64_t records) {
  if (records > 0) pieces_.push_back({first, places() + records});
}

void EpochPlan::add_whole_passes(const std::vector<RecordRun>& runs) {
  std::int64_t most = 0;
  for (const auto& run : runs) most = std::max(most, whole_times(run));
  for (std::int64_t pass = 0; pass < most; ++pass) {
    std::int64_t first = 0;
    for (const auto& run : runs) {
      if (pass < whole_times(run)) add(first, run.records);
      first += run.records;
    }
  }
  add_partial_passes(runs);
}

/// Those of a group follow each other through the epochs: pass after pass, each in its own order.
void EpochPlan::add_partial_passes(const std::vector<RecordRun>& runs) {
  for (const auto& group : groups_of(runs)) {
    auto wanted = group.partial();
    if (wanted == 0) continue;
    const auto before = static_cast<__int128>(epoch_) * wanted;  // in the epochs before
    auto pass = static_cast<std::int64_t>(before / group.records);
    auto skipped = static_cast<std::int64_t>(before % group.records);
    for (; wanted > 0; ++pass) add_part_of_pass(runs, group, pass, skipped, wanted);
  }
}

///   skipped, wanted: records of the pass that are left out and taken; less by those that were
void EpochPlan::add_part_of_pass(const std::vector<RecordRun>& runs, const RunGroup& group, std::int64_t pass,
                                 std::int64_t& skipped, std::int64_t& wanted) {
  std::vector<std::int64_t> first{group.before};
  for (auto run = group.begin; run < group.end; ++run) first.push_back(first.back() + runs[run].records);
  auto order = random_permutation(static_cast<std::int64_t>(group.end - group.begin),
                                  {options_.seed, partial_tag, part(group.before), part(pass)});
  if (!options_.shuffle) std::iota(order.begin(), order.end(), 0);
  for (const auto i : order) {
    const auto size = runs[group.begin + slot(i)].records, passed = std::min(skipped, size);
    const auto taken = std::min(wanted, size - passed);
    add(first[slot(i)] + passed, taken);
    skipped -= passed;
    wanted -= taken;
  }
}

void EpochPlan::draw_runs(const std::vector<RecordRun>& runs) {
  std::vector<double> ends;
  std::vector<std::int64_t> first{0};
  for (const auto& run : runs) {
    ends.push_back((ends.empty() ? 0.0 : ends.back()) + run.weight);
    first.push_back(first.back() + run.records);
  }
  Rng rng({options_.seed, draw_tag, part(epoch_)});
  for (auto wanted = records_per_epoch(runs); wanted > 0;) {
    const auto found = std::upper_bound(ends.begin(), ends.end(), rng.uniform(0.0, ends.back()));
    const auto run = std::min(static_cast<std::size_t>(found - ends.begin()), runs.size() - 1);
    const auto taken = std::min(wanted, runs[run].records);
    add(first[run], taken);
    wanted -= taken;
  }
}

void EpochPlan::shuffle_pieces() {
  const auto order =
      random_permutation(static_cast<std::int64_t>(pieces_.size()), {options_.seed, pieces_tag, part(epoch_)});
  auto old = std::exchange(pieces_, {});
  pieces_.reserve(old.size());
  for (const auto i : order) add(old[slot(i)].first, old[slot(i)].end - (i > 0 ? old[slot(i - 1)].end : 0));
}

std::int64_t EpochPlan::record_at(std::int64_t place) const {
  const auto piece =
      std::upper_bound(pieces_.begin(), pieces_.end(), place, [](auto p, const Piece& one) { return p < one.end; });
  const auto begin = piece == pieces_.begin() ? 0 : std::prev(piece)->end;
  return piece->first + place - begin;
}

/// With a probability that goes by the weight of its run.
std::int64_t EpochPlan::drawn_record(std::int64_t place) const {
  Rng rng({options_.seed, draw_tag, part(epoch_), part(place)});
  double total = 0;
  for (const auto& run : drawn_from_) total += run.weight * static_cast<double>(run.records);
  auto chosen = rng.uniform(0.0, total);
  std::int64_t first = 0;
  for (const auto& run : drawn_from_) {
    const auto share = run.weight * static_cast<double>(run.records);
    if (chosen < share) return first + std::min(run.records - 1, static_cast<std::int64_t>(chosen / run.weight));
    chosen -= share;
    first += run.records;
  }
  return first - 1;
}

std::int64_t EpochPlan::block_of(std::int64_t batch) const { return part_of(batches(), blocks_, batch); }
std::int64_t EpochPlan::first_batch_of(std::int64_t block) const { return part_begin(batches(), blocks_, block); }

std::int64_t EpochPlan::block_begin(std::int64_t batch) const { return whole_ ? 0 : first_batch_of(block_of(batch)); }

std::int64_t EpochPlan::next_block(std::int64_t batch) const {
  return whole_ ? batches() : first_batch_of(block_of(batch) + 1);
}

void EpochPlan::fill(std::int64_t batch, std::int64_t row, std::span<std::int64_t> records) const {
  if (!whole_) return deal(batch, row, records);
  auto place = batch * options_.batch_size + row;
  for (auto& record : records) {
    record = !drawn_from_.empty() ? drawn_record(place)
                                  : record_at(permutation_.empty() ? place : permutation_[slot(place)]);
    ++place;
  }
}

void EpochPlan::deal(std::int64_t batch, std::int64_t row, std::span<std::int64_t> records) const {
  const auto block = block_of(batch), first = first_batch_of(block), size = first_batch_of(block + 1) - first;
  const auto cells = cells_of(size);
  const auto seat =
      random_permutation(size, {options_.seed, cells_tag, part(epoch_), part(block)})[slot(batch - first)];
  const auto cell = part_of(size, cells, seat), begin = part_begin(size, cells, cell);
  const auto width = part_begin(size, cells, cell + 1) - begin;
  for (auto& record : records) {
    const auto within =
        random_permutation(width, {options_.seed, deal_tag, part(epoch_), part(block), part(row), part(cell)});
    record = record_at(first * options_.batch_size + size * row + begin + within[slot(seat - begin)]);
    ++row;
  }
}

}  // namespace vlalign
