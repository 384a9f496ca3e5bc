#include "vlalign/eval/retrieval.hpp"

#include <ATen/TensorOperators.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/full.h>
#include <ATen/ops/ge.h>
#include <ATen/ops/logical_and.h>
#include <ATen/ops/matmul.h>
#include <ATen/ops/ones.h>

#include <algorithm>
#include <limits>
#include <map>
#include <nlohmann/json.hpp>

#include "core/check.hpp"
#include "eval/checked_embeddings.hpp"
#include "eval/rows.hpp"
#include "vlalign/eval/space.hpp"

namespace vlalign {
namespace {

constexpr std::int64_t default_block = 4096;
constexpr double lowest = -std::numeric_limits<double>::infinity();

/// The cosine of each caption with its own picture, [M].
at::Tensor positive_scores(const CheckedEmbeddings& e) {
  const auto scores = at::full({e.text.size(0)}, 0.0, e.text.options());
  for_each_block(e.text.size(0), block_rows_for(e.text.size(1)), [&](std::int64_t start, std::int64_t end) {
    const auto own = e.image.index_select(0, e.owner.slice(0, start, end));
    scores.slice(0, start, end).copy_((e.text.slice(0, start, end) * own).sum(1));
  });
  return scores;
}

/// A stretch of rows.
struct Range {
  std::int64_t start, end;
  at::Tensor of(const at::Tensor& rows) const { return rows.slice(0, start, end); }
};

/// Cosines of some pictures with some captions; a picture's own captions score -inf.
at::Tensor competitor_scores(const CheckedEmbeddings& e, Range pictures, Range captions) {
  auto scores = at::matmul(pictures.of(e.image), captions.of(e.text).t());
  const auto owner = captions.of(e.owner);
  const auto own = at::logical_and(owner.ge(pictures.start), owner.lt(pictures.end)).nonzero().squeeze(1);
  scores.index_put_({owner.index_select(0, own) - pictures.start, own}, at::full({}, lowest, scores.options()));
  return scores;
}

std::vector<std::int64_t> to_vector(const at::Tensor& values) {
  const auto on_cpu = values.cpu().contiguous();
  const auto* begin = on_cpu.const_data_ptr<std::int64_t>();
  return {begin, begin + on_cpu.numel()};
}

RetrievalRanks ranks_of(const CheckedEmbeddings& e, std::int64_t block) {
  const auto n = e.image.size(0);
  const auto m = e.text.size(0);
  const auto caption_score = positive_scores(e);
  const auto image_score =
      at::full({n}, lowest, caption_score.options()).scatter_reduce(0, e.owner, caption_score, "amax");
  const auto caption_bar = caption_score.sub(tie_margin);
  const auto image_bar = image_score.sub(tie_margin);
  const auto image_rank = at::ones({n}, e.owner.options());
  const auto caption_rank = at::ones({m}, e.owner.options());
  const auto count_tile = [&](Range pictures, Range captions) {
    const auto scores = competitor_scores(e, pictures, captions);
    auto reached =
        at::empty_like(scores);  // 1 or 0 in float32: sums are exact to 2^24, and ten times as fast as of bool
    at::ge_out(reached, scores, pictures.of(image_bar).unsqueeze(1));
    pictures.of(image_rank).add_(reached.sum(1).to(at::kLong));
    at::ge_out(reached, scores, captions.of(caption_bar).unsqueeze(0));
    captions.of(caption_rank).add_(reached.sum(0).to(at::kLong));
  };
  for_each_block(n, block, [&](std::int64_t start, std::int64_t end) {
    for_each_block(m, block, [&](std::int64_t first, std::int64_t last) { count_tile({start, end}, {first, last}); });
  });
  return {to_vector(image_rank), to_vector(caption_rank)};
}

double share_within(std::span<const std::int64_t> ranks, std::int64_t k) {
  const auto hits = std::count_if(ranks.begin(), ranks.end(), [k](std::int64_t rank) { return rank <= k; });
  return static_cast<double>(hits) / static_cast<double>(ranks.size());
}

/// Random ranks of the best of P right ones among M, mixed over the queries' P.
class RandomRanks {
 public:
  RandomRanks(std::span<const std::int64_t> positives, std::int64_t candidates) : candidates_(candidates) {
    for (const auto p : positives) {
      check(p >= 1 && p <= candidates, "[chance_scores] positives: expected 1 to {} (candidates), got {}", candidates,
            p);
      queries_with_[p] += 1.0 / static_cast<double>(positives.size());
    }
  }

  /// P(rank <= k)
  double within(std::int64_t k) const {
    double missed = 0.0;
    for (const auto& [positives, share] : queries_with_) missed += share * miss(positives, k);
    return 1.0 - missed;
  }

  double median() const {
    return 0.5 * static_cast<double>(first_reaching(0.5 - rounding) + first_reaching(0.5 + rounding));
  }

 private:
  static constexpr double rounding = 1e-9;

  /// C(M - P, k) / C(M, k), as a product of P factors
  double miss(std::int64_t positives, std::int64_t k) const {
    double product = 1.0;
    for (std::int64_t i = 0; i < positives; ++i) {
      product *=
          static_cast<double>(std::max<std::int64_t>(0, candidates_ - k - i)) / static_cast<double>(candidates_ - i);
    }
    return product;
  }

  /// The smallest rank r with P(rank <= r) >= probability.
  std::int64_t first_reaching(double probability) const {
    std::int64_t low = 1;
    std::int64_t high = candidates_;
    while (low < high) {
      const auto middle = low + (high - low) / 2;
      if (within(middle) >= probability) {
        high = middle;
      } else {
        low = middle + 1;
      }
    }
    return low;
  }

  std::int64_t candidates_;
  std::map<std::int64_t, double> queries_with_;
};

nlohmann::ordered_json json_of(const RecallScores& scores) {
  return {{"recall@1", scores.recall_at_1},
          {"recall@5", scores.recall_at_5},
          {"recall@10", scores.recall_at_10},
          {"median_rank", scores.median_rank}};
}

}  // namespace

RetrievalRanks retrieval_ranks(const Embeddings& embeddings, std::int64_t block) {
  check(block > 0, "[retrieval_ranks] block: expected at least 1, got {}", block);
  return ranks_of(checked_embeddings(embeddings, "retrieval_ranks"), block);
}

RecallScores recall_scores(std::span<const std::int64_t> ranks) {
  check(!ranks.empty(), "[recall_scores] ranks: expected at least one");
  std::vector<std::int64_t> sorted(ranks.begin(), ranks.end());
  std::sort(sorted.begin(), sorted.end());
  const auto middle = sorted.size() / 2;
  const auto below = sorted[(sorted.size() - 1) / 2];
  return {share_within(ranks, 1), share_within(ranks, 5), share_within(ranks, 10),
          0.5 * static_cast<double>(below + sorted[middle])};
}

RecallScores chance_scores(std::span<const std::int64_t> positives, std::int64_t candidates) {
  check(!positives.empty(), "[chance_scores] positives: expected at least one");
  const RandomRanks ranks(positives, candidates);
  return {ranks.within(1), ranks.within(5), ranks.within(10), ranks.median()};
}

RetrievalScores evaluate_retrieval(const Embeddings& embeddings) {
  const auto e = checked_embeddings(embeddings, "retrieval_ranks");
  const auto ranks = ranks_of(e, default_block);
  const std::vector<std::int64_t> one_each(embeddings.image_of_text.size(), 1);
  return {
      .pairs = e.image.size(0),
      .captions = e.text.size(0),
      .skipped = std::ssize(embeddings.bad),
      .image_to_text = recall_scores(ranks.image_to_text),
      .text_to_image = recall_scores(ranks.text_to_image),
      .image_to_text_chance = chance_scores(e.captions_per_image, e.text.size(0)),
      .text_to_image_chance = chance_scores(one_each, e.image.size(0)),
      .alignment = alignment(e.image.index_select(0, e.owner), e.text),
      .uniformity = 0.5 * (uniformity(e.image) + uniformity(e.text)),
      .modality_gap = modality_gap(e.image, e.text),
  };
}

RetrievalScores evaluate_retrieval(const DualEncoder& model, const PairSource& source, const EmbedOptions& options) {
  return evaluate_retrieval(embed_pairs(model, source, options));
}

std::string to_json(const RetrievalScores& scores) {
  const nlohmann::ordered_json json = {{"pairs", scores.pairs},
                                       {"captions", scores.captions},
                                       {"skipped", scores.skipped},
                                       {"image_to_text", json_of(scores.image_to_text)},
                                       {"text_to_image", json_of(scores.text_to_image)},
                                       {"alignment", scores.alignment},
                                       {"uniformity", scores.uniformity},
                                       {"modality_gap", scores.modality_gap},
                                       {"chance",
                                        {{"image_to_text", json_of(scores.image_to_text_chance)},
                                         {"text_to_image", json_of(scores.text_to_image_chance)}}}};
  return json.dump();
}

}  // namespace vlalign
