#include "vlalign/train/targets.hpp"

#include <ATen/Parallel.h>
#include <ATen/ops/empty.h>
#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <memory>
#include <set>
#include <vector>

#include "core/check.hpp"

namespace vlalign {
namespace {

Targets groups_of_captions(const PairBatch& batch) {
  const auto tokens = batch.tokens.contiguous();
  const auto length = tokens.size(1);
  const auto* ids = tokens.const_data_ptr<std::int64_t>();
  const auto groups = at::empty({tokens.size(0)}, at::kLong);
  auto* group = groups.mutable_data_ptr<std::int64_t>();
  std::map<std::vector<std::int64_t>, std::int64_t> seen;
  for (std::int64_t row = 0; row < tokens.size(0); ++row) {
    std::vector<std::int64_t> caption(ids + row * length, ids + (row + 1) * length);
    group[row] = seen.try_emplace(std::move(caption), std::ssize(seen)).first->second;
  }
  return {.groups = groups};
}

/// Which captions of a batch have which tokens. What all captions have, such as the start token, tells nothing and is
/// left out, as are the tokens that end them.
class CaptionIndex {
 public:
  CaptionIndex(const at::Tensor& tokens, std::int64_t pad_id, std::int64_t end_id) {
    const auto rows = tokens.contiguous();
    const auto* ids = rows.const_data_ptr<std::int64_t>();
    const auto size = rows.size(0), length = rows.size(1);
    for (std::int64_t row = 0; row < size; ++row) {
      for (std::set<std::int64_t> own(ids + row * length, ids + (row + 1) * length); const auto id : own)
        if (id != pad_id && id != end_id) captions_with_[id].push_back(row);
    }
    std::erase_if(captions_with_, [&](const auto& entry) { return std::ssize(entry.second) == size; });
    tokens_of_.resize(static_cast<std::size_t>(size));
    for (const auto& [id, captions] : captions_with_)
      for (const auto caption : captions) tokens_of_[static_cast<std::size_t>(caption)].push_back(&captions);
  }

  CaptionIndex(const CaptionIndex&) = delete;
  CaptionIndex& operator=(const CaptionIndex&) = delete;

  std::int64_t size() const { return std::ssize(tokens_of_); }

  /// The Jaccard index of one caption's set of tokens with that of each.
  ///   row, common: [size()]; what common holds doesn't matter
  void write_row(std::size_t caption, float* row, std::vector<std::int32_t>& common) const {
    std::fill(common.begin(), common.end(), 0);
    for (const auto* captions : tokens_of_[caption])
      for (const auto other : *captions) ++common[static_cast<std::size_t>(other)];
    for (std::size_t other = 0; other < tokens_of_.size(); ++other) {
      const auto all = tokens_of_[caption].size() + tokens_of_[other].size() - static_cast<std::size_t>(common[other]);
      row[other] = static_cast<float>(common[other]) / static_cast<float>(std::max<std::size_t>(all, 1));
    }
  }

 private:
  using Captions = std::vector<std::int64_t>;
  std::map<std::int64_t, Captions> captions_with_;       // by token
  std::vector<std::vector<const Captions*>> tokens_of_;  // by caption
};

/// Some rows of the soft labels: each the Jaccard indices with all captions, its own 1, made to sum to 1 - own, and
/// then `own` for its own.
at::Tensor label_rows(const CaptionIndex& index, double own, tiles::RowRange rows) {
  const auto size = index.size();
  const auto labels = at::empty({rows.count, size}, at::kFloat);
  auto* out = labels.mutable_data_ptr<float>();
  at::parallel_for(0, rows.count, /*grain_size=*/8, [&](std::int64_t begin, std::int64_t end) {
    std::vector<std::int32_t> common(static_cast<std::size_t>(size));
    for (auto row = begin; row < end; ++row)
      index.write_row(static_cast<std::size_t>(rows.begin + row), out + row * size, common);
  });
  auto own_ones = labels.diagonal(rows.begin);
  own_ones.fill_(1.0);
  labels.div_(labels.sum(1, /*keepdim=*/true)).mul_(1 - own);
  own_ones.add_(own);
  return labels;
}

}  // namespace

TargetRule equal_captions() { return {"equal captions", groups_of_captions}; }

TargetRule shared_tokens(const Tokenizer& tokenizer, double own) {
  check(own >= 0 && own <= 1, "[shared_tokens] own: expected 0 to 1, got {}", own);
  return {fmt::format("shared tokens, own {}", own),
          [own, pad_id = tokenizer.pad_id(), end_id = tokenizer.end_id()](const PairBatch& batch) {
            const auto index = std::make_shared<const CaptionIndex>(batch.tokens, pad_id, end_id);
            return Targets{.soft = SoftTargets(index->size(), [index, own](tiles::RowRange rows) {
                             return label_rows(*index, own, rows);
                           })};
          }};
}

}  // namespace vlalign
