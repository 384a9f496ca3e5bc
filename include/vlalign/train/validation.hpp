#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "vlalign/core/export.hpp"
#include "vlalign/eval/embed.hpp"
#include "vlalign/eval/validation_result.hpp"
#include "vlalign/loss/contrastive_loss.hpp"

namespace vlalign {

/// A measure of the model, taken while it trains.
struct Validation {
  std::string name;
  /// Measures the model, which is in evaluation mode. `options` are the run's: pass them on to what embeds, such as
  /// evaluate_retrieval(), so that it runs in the run's precision, on all of its ranks, and stops when the run is to.
  std::function<Figures(const DualEncoder& model, const EmbedOptions& options)> measure;
  /// The keys that it will have, where they are known: a ValidationOptions::best that is none of them is then refused
  /// before training.
  std::vector<std::string> keys{};
};

/// When a run is validated, and what follows. A figure is named as NAME.KEY, by its validation and its key there.
struct ValidationOptions {
  std::int64_t every = 0;     ///< steps; 0: behind the last one only
  std::string best{};         ///< the figure whose best checkpoint is kept, e.g. "unseen.image_to_text.recall@1"
  std::int64_t patience = 0;  ///< > 0: ends the run after so many validations in a row in which `best` was no better
  std::string guard{};        ///< a figure, also taken before the first step, that may not fall too far...
  double largest_fall = 0;    ///< ... below what it was then: the run ends with an Error where it does
};

/// Retrieval on held-out pairs: the keys of to_json(RetrievalScores) that are numbers, and "loss", that of the whole
/// set as one batch (of a picture with several captions, the first). It is `loss`, where that needs the pairs'
/// embeddings only, else InfoNCE.
VLALIGN_EXPORT Validation validate_retrieval(std::string name, std::shared_ptr<const PairSource> pairs, AnyLoss loss);

/// Zero-shot classification, see evaluate_zero_shot(): the keys of to_json(ZeroShotScores) that are numbers.
VLALIGN_EXPORT Validation validate_zero_shot(std::string name, std::shared_ptr<const PairSource> pairs,
                                             std::vector<std::string> classes, std::vector<std::string> templates);

}  // namespace vlalign
