#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "vlalign/core/export.hpp"
#include "vlalign/eval/bootstrap.hpp"
#include "vlalign/eval/retrieval.hpp"
#include "vlalign/eval/zero_shot.hpp"

namespace vlalign {

/// What came of each query of a test: with another model's on the same test, all that a paired comparison needs.
/// Retrieval fills ranks and image_of_text, zero-shot classification class_ranks.
struct TestOutcome {
  std::string name;
  std::string test;                   ///< a fingerprint of what was asked: equal for equal tests of the same records
  std::vector<std::int64_t> records;  ///< [N], which record of the data each picture is
  RetrievalRanks ranks{};
  std::vector<std::int64_t> image_of_text{};  ///< [M], the picture of each caption
  std::vector<std::int64_t> class_ranks{};    ///< [N], of the right class
};

/// Of a retrieval test. Pictures are told by their records and captions: data that has moved is the same test.
/// Throws Error unless scores and embeddings are of the same queries.
VLALIGN_EXPORT TestOutcome outcome_of(std::string name, const RetrievalScores& scores, const Embeddings& embeddings);

/// Of a zero-shot test by evaluate_zero_shot() on these classes.
VLALIGN_EXPORT TestOutcome outcome_of(std::string name, const ZeroShotScores& scores,
                                      std::span<const std::string> classes);

/// A safetensors file, which a run folder calls eval.safetensors: int64 but for the precisions, which are float64.
/// Test i has "i.records" and "i.image_to_text", "i.text_to_image", "i.image_to_text_precision" and "i.image_of_text",
/// or "i.class_ranks"; the metadata names it: "i.name", "i.test". Throws Error as write_safetensors() does.
VLALIGN_EXPORT void write_outcomes(const std::filesystem::path& file, std::span<const TestOutcome> outcomes);

/// Throws Error naming the file and what in it isn't as write_outcomes() leaves it.
VLALIGN_EXPORT std::vector<TestOutcome> read_outcomes(const std::filesystem::path& file);

/// The differences of one model's figures from another's on the same test, by the keys that they have in eval.json:
/// "image_to_text.recall@1" and its like with map@10, or "top1" and "top5". The captions of a picture are drawn with
/// it. Throws Error unless the tests are the same.
VLALIGN_EXPORT std::map<std::string, PairedDifference> compare_outcomes(const TestOutcome& outcome,
                                                                        const TestOutcome& other,
                                                                        const BootstrapOptions& options = {});

}  // namespace vlalign
