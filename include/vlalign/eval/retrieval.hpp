#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "vlalign/core/export.hpp"
#include "vlalign/eval/bootstrap.hpp"
#include "vlalign/eval/embed.hpp"
#include "vlalign/eval/hubness.hpp"

namespace vlalign {

/// How well queries find what belongs to them among all candidates.
struct RecallScores {
  double recall_at_1 = 0.0;  ///< share of queries, 0 to 1, with a right candidate among the k best
  double recall_at_5 = 0.0;
  double recall_at_10 = 0.0;
  double median_rank = 0.0;  ///< of the best right candidate, counted from 1
  double map_at_10 = 0.0;    ///< mean of AP@10, see RetrievalRanks
};

/// Intervals that hold the figure in 95 of 100 draws of the pictures, the candidates staying as they are: see
/// bootstrap.hpp. All captions of a picture are drawn with it.
struct RecallIntervals {
  Interval recall_at_1;
  Interval recall_at_5;
  Interval recall_at_10;
  Interval map_at_10;
};

/// The rank of the best right candidate of each query, counted from 1.
struct RetrievalRanks {
  std::vector<std::int64_t> image_to_text;  ///< [N]
  std::vector<std::int64_t> text_to_image;  ///< [M]
  /// [N], AP@10 of each picture, 0 to 1: sum over its captions with rank r <= 10 of (right ones among the r best) / r,
  /// divided by min(captions, 10) (Weyand et al. 2020, Google Landmarks Dataset v2, whose mAP@100 this is with 10 for
  /// 100). A caption's AP@10 is 1 / rank within 10, else 0.
  std::vector<double> image_to_text_precision;
};

/// Cross-modal retrieval, both ways, and the shape of the joint space.
struct RetrievalScores {
  std::int64_t pairs = 0;     ///< N, pictures
  std::int64_t captions = 0;  ///< M
  std::int64_t skipped = 0;   ///< records left out because they could not be read
  RecallScores image_to_text;
  RecallScores text_to_image;
  RecallScores image_to_text_chance;  ///< the same figures for scores drawn at random
  RecallScores text_to_image_chance;
  RecallIntervals image_to_text_interval95{};
  RecallIntervals text_to_image_interval95{};
  double alignment = 0.0;   ///< see space.hpp; over all (picture, caption) pairs
  double uniformity = 0.0;  ///< mean of the pictures' and the captions'
  double modality_gap = 0.0;
  double linear_cka = 0.0;  ///< over all (picture, caption) pairs
  double image_effective_rank = 0.0;
  double text_effective_rank = 0.0;
  Hubness image_to_text_hubness{};      ///< of captions, among the 10 nearest of each picture
  Hubness text_to_image_hubness{};      ///< of pictures, among the 10 nearest of each caption
  std::optional<double> temperature{};  ///< the model's, 1 / logit scale, where a model was at hand
  RetrievalRanks ranks{};               ///< of every query, see test_outcome.hpp; to_json() leaves them out
};

/// Ranks by cosine, both ways, in tiles of block x block scores: never an [N, M] matrix.
///
/// A picture's rank is that of the best of its captions, so `recall@k` asks whether any of them is among the k best, as
/// CLIP_benchmark's `recall@k` does (github.com/LAION-AI/CLIP_benchmark, zeroshot_retrieval.py); its other captions are
/// not competitors. A caption has one right picture.
///
/// Ties count against the query: a wrong candidate within 1e-6 of the right one's cosine is ranked before it (float32
/// products cannot tell them apart). So a model that gives every input the same embedding has the worst rank, not the
/// best, and a caption that two pictures share is a miss at k = 1 for either of them. The p-th best of a picture's P
/// captions has rank p + the wrong ones that are ranked before it.
///
/// Throws Error naming the field when shapes disagree, a picture has no caption, or an embedding is not finite.
VLALIGN_EXPORT RetrievalRanks retrieval_ranks(const Embeddings& embeddings, std::int64_t block = 2048);

/// Recall and median rank (the mean of the middle two for an even number) of ranks counted from 1, and the mean of the
/// queries' AP@10; without them each query has one right candidate. Throws Error when there are no ranks.
VLALIGN_EXPORT RecallScores recall_scores(std::span<const std::int64_t> ranks);
VLALIGN_EXPORT RecallScores recall_scores(std::span<const std::int64_t> ranks, std::span<const double> precisions);

/// What random scores give on average: for a query with P right ones among M candidates `recall@k` is
/// 1 - C(M - P, k) / C(M, k), which is k / M for one; `AP@k` is sum_{r <= k} P / M (1 + (r - 1) (P - 1) / (M - 1)) / r
/// over min(P, k); the median rank is that of the mixture over queries, (M + 1) / 2 when each has one.
///   positives: P of each query, 1 <= P <= candidates
VLALIGN_EXPORT RecallScores chance_scores(std::span<const std::int64_t> positives, std::int64_t candidates);

/// All of RetrievalScores for embeddings; needs no model. Throws as retrieval_ranks does.
///   processes: that all have the same embeddings, and each compare a share of the pictures with all captions
VLALIGN_EXPORT RetrievalScores evaluate_retrieval(const Embeddings& embeddings, const Ranks& processes = {});

/// Embeds the data set and evaluates it: `evaluate_retrieval(model, open_pairs("val.tsv"))`.
VLALIGN_EXPORT RetrievalScores evaluate_retrieval(const DualEncoder& model,
                                                  const std::shared_ptr<const PairSource>& source,
                                                  const EmbedOptions& options = {});

/// {"pairs", "captions", "skipped",
///  "image_to_text": {"recall@1", "recall@5", "recall@10", "map@10", "median_rank"}, "text_to_image": {the same},
///  "alignment", "uniformity", "modality_gap", "linear_cka", "effective_rank": {"image", "text"},
///  "hubness": {"image_to_text": {"skewness", "antihubs", "largest"}, "text_to_image": {the same}},
///  "chance": {"image_to_text", "text_to_image"},
///  "interval95": {"image_to_text": {"recall@1": [low, high], "recall@5", "recall@10", "map@10"}, "text_to_image"},
///  "temperature" (where there is one)}
VLALIGN_EXPORT std::string to_json(const RetrievalScores& scores);

}  // namespace vlalign
