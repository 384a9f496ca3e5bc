#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "vlalign/eval/embed.hpp"

namespace vlalign {

/// How well queries find what belongs to them among all candidates.
struct RecallScores {
  double recall_at_1 = 0.0;  ///< share of queries, 0 to 1, with a right candidate among the k best
  double recall_at_5 = 0.0;
  double recall_at_10 = 0.0;
  double median_rank = 0.0;  ///< of the best right candidate, counted from 1
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
  double alignment = 0.0;   ///< see space.hpp; over all (picture, caption) pairs
  double uniformity = 0.0;  ///< mean of the pictures' and the captions'
  double modality_gap = 0.0;
};

/// The rank of the best right candidate of each query, counted from 1.
struct RetrievalRanks {
  std::vector<std::int64_t> image_to_text;  ///< [N]
  std::vector<std::int64_t> text_to_image;  ///< [M]
};

/// Ranks by cosine, both ways, in tiles of block x block scores: never an [N, M] matrix.
///
/// A picture's rank is that of the best of its captions, so recall@k asks whether any of them is among the k best, as
/// CLIP_benchmark's recall@k does (github.com/LAION-AI/CLIP_benchmark, zeroshot_retrieval.py); its other captions are
/// not competitors. A caption has one right picture.
///
/// Ties count against the query: a wrong candidate within 1e-6 of the right one's cosine is ranked before it (float32
/// products cannot tell them apart). So a model that gives every input the same embedding has the worst rank, not the
/// best, and a caption that two pictures share is a miss at k = 1 for either of them.
///
/// Throws Error naming the field when shapes disagree, a picture has no caption, or an embedding is not finite.
RetrievalRanks retrieval_ranks(const Embeddings& embeddings, std::int64_t block = 4096);

/// Recall and median rank (the mean of the middle two for an even number) of ranks counted from 1.
/// Throws Error when there are none.
RecallScores recall_scores(std::span<const std::int64_t> ranks);

/// What random scores give on average: for a query with P right ones among M candidates recall@k is
/// 1 - C(M - P, k) / C(M, k), which is k / M for one; the median rank is that of the mixture over queries, (M + 1) / 2
/// when each has one.
///   positives: P of each query, 1 <= P <= candidates
RecallScores chance_scores(std::span<const std::int64_t> positives, std::int64_t candidates);

/// All of RetrievalScores for embeddings; needs no model. Throws as retrieval_ranks does.
RetrievalScores evaluate_retrieval(const Embeddings& embeddings);

/// Embeds the data set and evaluates it: `evaluate_retrieval(model, *open_pairs("val.tsv"))`.
RetrievalScores evaluate_retrieval(const DualEncoder& model, const PairSource& source,
                                   const EmbedOptions& options = {});

/// {"pairs", "captions", "skipped", "image_to_text": {"recall@1", "recall@5", "recall@10", "median_rank"},
///  "text_to_image": {the same}, "alignment", "uniformity", "modality_gap", "chance": {"image_to_text",
///  "text_to_image"}}
std::string to_json(const RetrievalScores& scores);

}  // namespace vlalign
