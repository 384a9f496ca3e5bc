#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "vlalign/core/export.hpp"
#include "vlalign/eval/bootstrap.hpp"
#include "vlalign/eval/embed.hpp"

namespace vlalign {

/// Classification by the class whose name, put into a sentence, is nearest to the picture (Radford et al. 2021, 3.1).
struct ZeroShotScores {
  std::int64_t images = 0;
  std::int64_t skipped = 0;     ///< records left out because they could not be read
  double top1 = 0.0;            ///< share of pictures whose class has the best score; ties count against it
  double top5 = 0.0;            ///< ... is among the min(5, C) best
  double mean_per_class = 0.0;  ///< top1 of each class that has pictures, averaged over those classes
  /// Of the class probabilities softmax(logit_scale * cosines): see calibration.hpp; the mean of -log p of the right
  /// class, in nats, log C for uniform ones.
  double calibration_error = 0.0;
  double negative_log_likelihood = 0.0;
  Interval top1_interval95{};  ///< over draws of the pictures, see bootstrap.hpp
  /// [images], what came of each picture, see test_outcome.hpp; to_json() leaves them out.
  std::vector<std::int64_t> ranks{};    ///< of the right class, counted from 1
  std::vector<std::int64_t> labels{};   ///< the right class
  std::vector<std::int64_t> records{};  ///< which record it is, where a data set was at hand
  std::vector<std::string> bad{};       ///< why each record that was left out could not be read
};

/// {"a photo of a {}."}: "{}" stands for the class name.
VLALIGN_EXPORT std::vector<std::string> default_templates();

/// The prompts of one class, a template each. Throws Error for a template without "{}", naming it.
VLALIGN_EXPORT std::vector<std::string> class_prompts(const std::string& class_name,
                                                      std::span<const std::string> templates);

/// norm(mean_t e_t): the mean of each class's T prompt embeddings, back on the sphere (prompt ensembling).
///   prompts: floating [C * T, D], unit rows, a class's T prompts together
/// Returns float32 [C, D].
VLALIGN_EXPORT at::Tensor average_prompts(const at::Tensor& prompts, std::int64_t templates);

/// One embedding a class, float32 [C, D]: average_prompts of the class's prompts.
/// Classes of one name have the same embedding, which costs a warning. Throws Error when there are no classes or
/// templates.
VLALIGN_EXPORT at::Tensor embed_classes(const DualEncoder& model, std::span<const std::string> classes,
                                        std::span<const std::string> templates, const EmbedOptions& options = {});

/// Scores picture embeddings against class embeddings.
///   image: floating [N, D], unit rows; classes: floating [C, D], unit rows, same device; labels: [N], 0 to C - 1;
///   logit_scale: the model's, > 0, which makes probabilities of cosines; no rank depends on it
VLALIGN_EXPORT ZeroShotScores score_classes(const at::Tensor& image, const at::Tensor& classes,
                                            std::span<const std::int64_t> labels, double logit_scale);

/// Zero-shot classification of a data set whose (first) caption is the class: all are names, or all are numbers from 0
/// on. Where classes have the same name, as two of ImageNet's "missile", a name stands for all of them: any of them is
/// right. A number stands for its own class; the first of equal names is what is predicted, as the peers' argmax has
/// it. Throws Error naming the record when its caption is not among the classes.
VLALIGN_EXPORT ZeroShotScores evaluate_zero_shot(const DualEncoder& model,
                                                 const std::shared_ptr<const PairSource>& source,
                                                 std::span<const std::string> classes,
                                                 std::span<const std::string> templates,
                                                 const EmbedOptions& options = {});

/// {"images", "skipped", "top1", "top5", "mean_per_class", "calibration_error", "negative_log_likelihood",
///  "interval95": {"top1": [low, high]}}
VLALIGN_EXPORT std::string to_json(const ZeroShotScores& scores);

}  // namespace vlalign
