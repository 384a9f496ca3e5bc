#include "vlalign/eval/test_outcome.hpp"

#include <algorithm>

#include "core/check.hpp"
#include "core/fingerprint.hpp"

namespace vlalign {
namespace {

using Values = std::vector<double>;

constexpr std::int64_t deepest_rank = 10;  // of map@10

Values hits_at(std::span<const std::int64_t> ranks, std::int64_t best) {
  Values hits;
  for (const auto rank : ranks) hits.push_back(rank <= best ? 1.0 : 0.0);
  return hits;
}

/// AP@10 of captions, which have one right picture each.
Values precisions_of(std::span<const std::int64_t> ranks) {
  Values precisions;
  for (const auto rank : ranks) precisions.push_back(rank <= deepest_rank ? 1.0 / static_cast<double>(rank) : 0.0);
  return precisions;
}

/// Figures by their keys, each with a value a query.
std::map<std::string, Values> values_of_pictures(const TestOutcome& outcome) {
  if (!outcome.class_ranks.empty())
    return {{"top1", hits_at(outcome.class_ranks, 1)}, {"top5", hits_at(outcome.class_ranks, 5)}};
  std::map<std::string, Values> values;
  for (const auto best : {1, 5, 10})
    values[fmt::format("image_to_text.recall@{}", best)] = hits_at(outcome.ranks.image_to_text, best);
  values["image_to_text.map@10"] = outcome.ranks.image_to_text_precision;
  return values;
}

std::map<std::string, Values> values_of_captions(const TestOutcome& outcome) {
  if (!outcome.class_ranks.empty()) return {};
  std::map<std::string, Values> values;
  for (const auto best : {1, 5, 10})
    values[fmt::format("text_to_image.recall@{}", best)] = hits_at(outcome.ranks.text_to_image, best);
  values["text_to_image.map@10"] = precisions_of(outcome.ranks.text_to_image);
  return values;
}

}  // namespace

TestOutcome outcome_of(std::string name, const RetrievalScores& scores, const Embeddings& embeddings) {
  const auto& ranks = scores.ranks;
  check(ranks.image_to_text.size() == embeddings.records.size() &&
            ranks.text_to_image.size() == embeddings.captions.size(),
        "[outcome_of] test \"{}\": expected the ranks of {} pictures and {} captions, got {} and {}", name,
        embeddings.records.size(), embeddings.captions.size(), ranks.image_to_text.size(), ranks.text_to_image.size());
  Fingerprint test;
  for (const auto record : embeddings.records) test.add(record);
  for (std::size_t i = 0; i < embeddings.captions.size(); ++i)
    test.add(embeddings.captions[i]).add(embeddings.image_of_text[i]);
  return {.name = std::move(name),
          .test = test.hex(),
          .records = embeddings.records,
          .ranks = ranks,
          .image_of_text = embeddings.image_of_text};
}

TestOutcome outcome_of(std::string name, const ZeroShotScores& scores, std::span<const std::string> classes) {
  check(!scores.ranks.empty() && scores.records.size() == scores.ranks.size() &&
            scores.labels.size() == scores.ranks.size(),
        "[outcome_of] test \"{}\": expected the scores of evaluate_zero_shot(), which hold a rank, a label and a "
        "record for each picture",
        name);
  Fingerprint test;
  for (const auto& words : classes) test.add(words);
  for (std::size_t i = 0; i < scores.records.size(); ++i) test.add(scores.records[i]).add(scores.labels[i]);
  return {.name = std::move(name), .test = test.hex(), .records = scores.records, .class_ranks = scores.ranks};
}

std::map<std::string, PairedDifference> compare_outcomes(const TestOutcome& outcome, const TestOutcome& other,
                                                         const BootstrapOptions& options) {
  check(outcome.test == other.test && outcome.records == other.records && outcome.image_of_text == other.image_of_text,
        "[compare_outcomes] \"{}\" and \"{}\" are different tests", outcome.name, other.name);
  std::map<std::string, PairedDifference> differences;
  const auto others_of_pictures = values_of_pictures(other), others_of_captions = values_of_captions(other);
  for (const auto& [key, values] : values_of_pictures(outcome))
    differences[key] = paired_bootstrap(values, others_of_pictures.at(key), options);
  for (const auto& [key, values] : values_of_captions(outcome))
    differences[key] = paired_bootstrap(values, others_of_captions.at(key), outcome.image_of_text, options);
  return differences;
}

}  // namespace vlalign
