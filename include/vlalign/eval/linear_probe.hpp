#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "vlalign/core/export.hpp"
#include "vlalign/eval/embed.hpp"

namespace vlalign {

struct LinearProbeOptions {
  double c =
      0.316;  ///< inverse strength of the regularisation, as in scikit-learn; CLIP's example (openai/CLIP, README)
  std::int64_t max_iterations = 1000;  ///< Radford et al. 2021, appendix A.3
};

/// Logistic regression over C classes: logits x W^T + b.
struct VLALIGN_EXPORT LinearProbe {
  at::Tensor weight;  ///< float64 [C, D]
  at::Tensor bias;    ///< float64 [C]

  /// features: floating [N, D], on any device. Returns the logits, float64 [N, C], on the CPU.
  at::Tensor logits(const at::Tensor& features) const;
  /// The best class of each row: int64 [N].
  at::Tensor predict(const at::Tensor& features) const;
};

/// Fits a probe on frozen features (Radford et al. 2021, appendix A.3): minimises the sum of the cross-entropies plus
/// |W|^2 / (2 c) with L-BFGS from zero, in float64 on the CPU; the same input gives the same bits. Equals
/// scikit-learn's LogisticRegression(C=c) for three classes and more; for two that has a single weight vector.
///   features: floating [N, D], finite; labels: [N], 0 to classes - 1; classes: 2 or more
/// Warns when the iterations run out first.
VLALIGN_EXPORT LinearProbe fit_linear_probe(const at::Tensor& features, std::span<const std::int64_t> labels,
                                            std::int64_t classes, const LinearProbeOptions& options = {});

struct LinearProbeScores {
  std::int64_t train_images = 0, test_images = 0, classes = 0;
  std::int64_t skipped = 0;     ///< records left out of either set because they could not be read
  double top1 = 0.0;            ///< share of test pictures whose class is predicted
  double mean_per_class = 0.0;  ///< top1 of each class that has test pictures, averaged over those classes
};

/// Fits a probe on the image tower's features, before the projection, of one data set and tests it on another; the
/// (first) caption is the class name, as in evaluate_zero_shot().
/// Throws Error naming the record of the test set whose class is not in the training set.
VLALIGN_EXPORT LinearProbeScores evaluate_linear_probe(const DualEncoder& model,
                                                       const std::shared_ptr<const PairSource>& train,
                                                       const std::shared_ptr<const PairSource>& test,
                                                       const LinearProbeOptions& options = {},
                                                       const EmbedOptions& embed = {});

/// {"train_images", "test_images", "classes", "skipped", "top1", "mean_per_class"}
VLALIGN_EXPORT std::string to_json(const LinearProbeScores& scores);

}  // namespace vlalign
