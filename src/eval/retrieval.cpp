#include "vlalign/eval/retrieval.hpp"

#include <ATen/TensorOperators.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/full.h>
#include <ATen/ops/ge.h>
#include <ATen/ops/logical_and.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/tensor.h>

#include <algorithm>
#include <functional>
#include <limits>
#include <nlohmann/json.hpp>
#include <utility>

#include "core/check.hpp"
#include "eval/checked_embeddings.hpp"
#include "eval/nearest.hpp"
#include "eval/paired_rows.hpp"
#include "eval/rows.hpp"
#include "kernels/product.hpp"
#include "vlalign/data/loading/loader.hpp"
#include "vlalign/eval/space.hpp"
#include "vlalign/model/dual_encoder.hpp"

namespace vlalign {
namespace {

constexpr std::int64_t default_block = 2048;
constexpr std::int64_t k = 10;  // of AP@k and of the k nearest
constexpr double lowest = -std::numeric_limits<double>::infinity();

/// A stretch of rows.
struct Range {
  std::int64_t start, end;
  at::Tensor of(const at::Tensor& values) const { return values.slice(0, start, end); }
  at::Tensor rows_of(const at::Tensor& embeddings) const { return of(embeddings).to(at::kFloat); }
};

/// The cosine of each caption with its own picture, float32 [M].
at::Tensor positive_scores(const CheckedEmbeddings& e) {
  const auto scores = at::empty({e.text.size(0)}, e.text.options().dtype(at::kFloat));
  for_each_block(e.text.size(0), block_rows_for(e.text.size(1)), [&](std::int64_t start, std::int64_t end) {
    const Range captions{start, end};
    const auto own = e.image.index_select(0, captions.of(e.owner)).to(at::kFloat);
    captions.of(scores).copy_((captions.rows_of(e.text) * own).sum(1));
  });
  return scores;
}

/// A picture's own captions score -inf: the others are its wrong candidates, and the picture is not a caption's.
void mask_own(const CheckedEmbeddings& e, Range pictures, Range captions, at::Tensor& scores) {
  const auto owner = captions.of(e.owner);
  const auto own = at::logical_and(owner.ge(pictures.start), owner.lt(pictures.end)).nonzero().squeeze(1);
  scores.index_put_({owner.index_select(0, own) - pictures.start, own}, at::full({}, lowest, scores.options()));
}

template <typename T>
std::vector<T> to_vector(const at::Tensor& values) {
  const auto on_cpu = values.cpu().contiguous();
  const auto* begin = on_cpu.const_data_ptr<T>();
  return {begin, begin + on_cpu.numel()};
}

/// Makes RetrievalRanks from tiles of scores in which mask_own has been.
class RankCounter {
 public:
  explicit RankCounter(const CheckedEmbeddings& e)
      : e_(e),
        caption_score_(positive_scores(e)),
        caption_bar_(caption_score_.sub(tie_margin)),
        image_bar_(at::full({e.image.size(0)}, lowest, caption_score_.options())
                       .scatter_reduce(0, e.owner, caption_score_, "amax")
                       .sub_(tie_margin)),
        image_rank_(at::ones({e.image.size(0)}, e.owner.options())),
        caption_rank_(at::ones({e.text.size(0)}, e.owner.options())),
        wrong_captions_(e.image.size(0), k) {}

  void add(Range pictures, Range captions, const at::Tensor& scores) {
    auto reached =
        at::empty_like(scores);  // 1 or 0 in float32: sums are exact to 2^24, and ten times as fast as of bool
    at::ge_out(reached, scores, pictures.of(image_bar_).unsqueeze(1));
    pictures.of(image_rank_).add_(reached.sum(1).to(at::kLong));
    at::ge_out(reached, scores, captions.of(caption_bar_).unsqueeze(0));
    captions.of(caption_rank_).add_(reached.sum(0).to(at::kLong));
    wrong_captions_.add(scores, pictures.start, captions.start);
  }

  /// Takes in what other ranks have found in other pictures' tiles.
  void merge(const Ranks& ranks) {
    if (ranks.alone()) return;
    for (auto& rank : {image_rank_, caption_rank_}) {
      const auto before = (rank - 1).cpu();
      ranks.sum(before);
      rank.copy_(before + 1);
    }
    wrong_captions_.merge(ranks);
  }

  RetrievalRanks ranks() const {
    return {to_vector<std::int64_t>(image_rank_), to_vector<std::int64_t>(caption_rank_), average_precisions()};
  }

 private:
  /// AP@k of each picture. Its p-th best caption has rank p + the wrong ones no worse; for a rank within k these are
  /// among the k best wrong ones.
  std::vector<double> average_precisions() const {
    std::vector<std::vector<float>> bars(static_cast<std::size_t>(e_.image.size(0)));
    const auto owner = to_vector<std::int64_t>(e_.owner);
    const auto bar = to_vector<float>(caption_bar_);
    for (std::size_t text = 0; text < owner.size(); ++text)
      bars[static_cast<std::size_t>(owner[text])].push_back(bar[text]);
    std::vector<double> precisions;
    for (std::int64_t image = 0; image < std::ssize(bars); ++image) {
      auto& own = bars[static_cast<std::size_t>(image)];
      std::sort(own.begin(), own.end(), std::greater());
      precisions.push_back(average_precision(own, wrong_captions_.of(image)));
    }
    return precisions;
  }

  /// own: the bars of the right candidates, highest first; wrong: the k best others, best first
  static double average_precision(std::span<const float> own, std::span<const Nearest::Neighbour> wrong) {
    double sum = 0.0;
    std::int64_t hits = 0;
    std::int64_t before = 0;
    for (const auto bar : own) {
      while (before < k && wrong[static_cast<std::size_t>(before)].score >= bar) ++before;
      if (++hits + before > k) break;
      sum += static_cast<double>(hits) / static_cast<double>(hits + before);
    }
    return sum / static_cast<double>(std::min(k, std::ssize(own)));
  }

  const CheckedEmbeddings& e_;
  at::Tensor caption_score_, caption_bar_, image_bar_;  // float32 [M], [M], [N]
  at::Tensor image_rank_, caption_rank_;                // int64 [N], [M]
  Nearest wrong_captions_;
};

/// Calls visit(pictures, captions, scores) for tiles of cosines, float32, that the visitor may write on.
///   share: the pictures whose tiles are visited
template <typename Visit>
void for_each_tile(const CheckedEmbeddings& e, std::int64_t block, const BatchShare& share, Visit visit) {
  const auto first_picture = share.begin(e.image.size(0));
  for_each_block(share.rows(e.image.size(0)), block, [&](std::int64_t start, std::int64_t end) {
    const Range pictures{first_picture + start, first_picture + end};
    const auto rows = pictures.rows_of(e.image);
    for_each_block(e.text.size(0), block, [&](std::int64_t first, std::int64_t last) {
      const Range captions{first, last};
      auto scores = product(rows, captions.rows_of(e.text));
      visit(pictures, captions, scores);
    });
  });
}

/// What a pass over all tiles finds.
struct Counts {
  RetrievalRanks ranks;
  Hubness captions, pictures;
};

std::vector<std::int64_t> sum_over(const Ranks& ranks, const std::vector<std::int64_t>& counts) {
  if (ranks.alone()) return counts;
  const auto sums = at::tensor(counts, at::kLong);
  ranks.sum(sums);
  return to_vector<std::int64_t>(sums);
}

/// Each rank goes through the tiles of its share of the pictures.
Counts count(const CheckedEmbeddings& e, const Ranks& ranks) {
  const auto n = e.image.size(0);
  const auto m = e.text.size(0);
  RankCounter counter(e);
  Nearest captions_near(n, std::min(k, m));
  Nearest pictures_near(m, std::min(k, n));
  const BatchShare share{.index = ranks.rank(), .count = ranks.size()};
  for_each_tile(e, default_block, share, [&](Range pictures, Range captions, at::Tensor& scores) {
    captions_near.add(scores, pictures.start, captions.start);
    pictures_near.add_columns(scores, captions.start, pictures.start);
    mask_own(e, pictures, captions, scores);
    counter.add(pictures, captions, scores);
  });
  counter.merge(ranks);
  pictures_near.merge(ranks);
  return {counter.ranks(), hubness(sum_over(ranks, captions_near.occurrences(m))),
          hubness(pictures_near.occurrences(n))};
}

std::vector<double> hits_within(std::span<const std::int64_t> ranks, std::int64_t best) {
  std::vector<double> hits;
  for (const auto rank : ranks) hits.push_back(rank <= best ? 1.0 : 0.0);
  return hits;
}

double share_within(std::span<const std::int64_t> ranks, std::int64_t best) {
  const auto hits = std::count_if(ranks.begin(), ranks.end(), [best](std::int64_t rank) { return rank <= best; });
  return static_cast<double>(hits) / static_cast<double>(ranks.size());
}

/// AP@k of queries with one right candidate.
std::vector<double> average_precisions(std::span<const std::int64_t> ranks) {
  std::vector<double> precisions;
  for (const auto rank : ranks) precisions.push_back(rank >= 1 && rank <= k ? 1.0 / static_cast<double>(rank) : 0.0);
  return precisions;
}

/// groups: nothing, or the queries' pictures
template <typename... Groups>
RecallIntervals intervals(std::span<const std::int64_t> ranks, std::span<const double> precisions,
                          const Groups&... groups) {
  return {bootstrap_interval(hits_within(ranks, 1), groups...), bootstrap_interval(hits_within(ranks, 5), groups...),
          bootstrap_interval(hits_within(ranks, 10), groups...), bootstrap_interval(precisions, groups...)};
}

nlohmann::ordered_json json_of(const RecallScores& scores) {
  return {{"recall@1", scores.recall_at_1},
          {"recall@5", scores.recall_at_5},
          {"recall@10", scores.recall_at_10},
          {"map@10", scores.map_at_10},
          {"median_rank", scores.median_rank}};
}

nlohmann::ordered_json json_of(const RecallIntervals& intervals) {
  const auto pair = [](const Interval& interval) {
    return nlohmann::ordered_json::array({interval.low, interval.high});
  };
  return {{"recall@1", pair(intervals.recall_at_1)},
          {"recall@5", pair(intervals.recall_at_5)},
          {"recall@10", pair(intervals.recall_at_10)},
          {"map@10", pair(intervals.map_at_10)}};
}

nlohmann::ordered_json json_of(const Hubness& hubness) {
  return {{"skewness", hubness.skewness}, {"antihubs", hubness.antihubs}, {"largest", hubness.largest}};
}

}  // namespace

RetrievalRanks retrieval_ranks(const Embeddings& embeddings, std::int64_t block) {
  check(block > 0, "[retrieval_ranks] block: expected at least 1, got {}", block);
  const auto e = checked_embeddings(embeddings, "retrieval_ranks");
  RankCounter counter(e);
  for_each_tile(e, block, {}, [&](Range pictures, Range captions, at::Tensor& scores) {
    mask_own(e, pictures, captions, scores);
    counter.add(pictures, captions, scores);
  });
  return counter.ranks();
}

RecallScores recall_scores(std::span<const std::int64_t> ranks) {
  return recall_scores(ranks, average_precisions(ranks));
}

RecallScores recall_scores(std::span<const std::int64_t> ranks, std::span<const double> precisions) {
  check(!ranks.empty(), "[recall_scores] ranks: expected at least one");
  check(precisions.size() == ranks.size(), "[recall_scores] precisions: expected {}, one a rank, got {}", ranks.size(),
        precisions.size());
  for (const auto rank : ranks) check(rank >= 1, "[recall_scores] ranks: expected 1 or more, got {}", rank);
  for (const auto precision : precisions)
    check(precision >= 0 && precision <= 1, "[recall_scores] precisions: expected 0 to 1, got {}", precision);
  std::vector<std::int64_t> sorted(ranks.begin(), ranks.end());
  std::sort(sorted.begin(), sorted.end());
  const auto middle = sorted.size() / 2;
  const auto below = sorted[(sorted.size() - 1) / 2];
  double sum = 0.0;
  for (const auto precision : precisions) sum += precision;
  return {.recall_at_1 = share_within(ranks, 1),
          .recall_at_5 = share_within(ranks, 5),
          .recall_at_10 = share_within(ranks, 10),
          .median_rank = 0.5 * static_cast<double>(below + sorted[middle]),
          .map_at_10 = sum / static_cast<double>(precisions.size())};
}

RetrievalScores evaluate_retrieval(const Embeddings& embeddings, const Ranks& processes) {
  const auto e = checked_embeddings(embeddings, "retrieval_ranks");
  auto [ranks, captions, pictures] = count(e, processes);
  const PairedRows pairs{e.image, e.text, e.owner};
  const std::vector<std::int64_t> one_each(embeddings.image_of_text.size(), 1);
  RetrievalScores scores{
      .pairs = e.image.size(0),
      .captions = e.text.size(0),
      .skipped = std::ssize(embeddings.bad),
      .image_to_text = recall_scores(ranks.image_to_text, ranks.image_to_text_precision),
      .text_to_image = recall_scores(ranks.text_to_image),
      .image_to_text_chance = chance_scores(e.captions_per_image, e.text.size(0)),
      .text_to_image_chance = chance_scores(one_each, e.image.size(0)),
      .image_to_text_interval95 = intervals(ranks.image_to_text, ranks.image_to_text_precision),
      .text_to_image_interval95 =
          intervals(ranks.text_to_image, average_precisions(ranks.text_to_image), embeddings.image_of_text),
      .alignment = alignment(pairs),
      .uniformity = 0.5 * (uniformity(e.image) + uniformity(e.text)),
      .modality_gap = modality_gap(e.image, e.text),
      .linear_cka = linear_cka(pairs),
      .image_effective_rank = effective_rank(e.image),
      .text_effective_rank = effective_rank(e.text),
      .image_to_text_hubness = captions,
      .text_to_image_hubness = pictures,
  };
  scores.ranks = std::move(ranks);
  return scores;
}

RetrievalScores evaluate_retrieval(const DualEncoder& model, const std::shared_ptr<const PairSource>& source,
                                   const EmbedOptions& options) {
  auto scores = evaluate_retrieval(embed_pairs(model, source, options), options.ranks);
  scores.temperature = 1.0 / model.logit_scale().item<double>();
  return scores;
}

std::string to_json(const RetrievalScores& scores) {
  nlohmann::ordered_json json = {
      {"pairs", scores.pairs},
      {"captions", scores.captions},
      {"skipped", scores.skipped},
      {"image_to_text", json_of(scores.image_to_text)},
      {"text_to_image", json_of(scores.text_to_image)},
      {"alignment", scores.alignment},
      {"uniformity", scores.uniformity},
      {"modality_gap", scores.modality_gap},
      {"linear_cka", scores.linear_cka},
      {"effective_rank", {{"image", scores.image_effective_rank}, {"text", scores.text_effective_rank}}},
      {"hubness",
       {{"image_to_text", json_of(scores.image_to_text_hubness)},
        {"text_to_image", json_of(scores.text_to_image_hubness)}}},
      {"chance",
       {{"image_to_text", json_of(scores.image_to_text_chance)},
        {"text_to_image", json_of(scores.text_to_image_chance)}}},
      {"interval95",
       {{"image_to_text", json_of(scores.image_to_text_interval95)},
        {"text_to_image", json_of(scores.text_to_image_interval95)}}}};
  if (scores.temperature) json["temperature"] = *scores.temperature;
  return json.dump();
}

}  // namespace vlalign
