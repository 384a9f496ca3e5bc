// What the checks of properties are made from: a loss under test, its values and gradients, comparisons, and the search
// for the smallest batch that shows a difference. Internal.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "testing/loss_case.hpp"
#include "vlalign/testing/violation.hpp"

namespace vlalign::kit {

/// The loss under test, what it promises, and the property in question.
struct Subject {
  Property property;
  const ContrastiveLoss& loss;
  const LossClaims& claims;

  BatchParts uses() const { return loss.uses(); }
};

/// In words, what is wrong with a case; nullopt: nothing.
using Finding = std::optional<std::string>;

/// The loss of a batch without a graph. Throws Error unless it is a scalar.
double value_of(const ContrastiveLoss& loss, const ContrastiveBatch& batch);
/// The same with its graph, without which it throws Error where gradients are recorded.
at::Tensor forward(const ContrastiveLoss& loss, const ContrastiveBatch& batch);

struct ValueAndGradients {
  double value;
  ContrastiveBatch gradients;  ///< in the places of the tensors
};
ValueAndGradients value_and_gradients(const ContrastiveLoss& loss, const ContrastiveBatch& batch);

/// "WHAT is GOT, expected EXPECTED: off by ..." if they differ by more than allowed * (1 + |expected|), or are NaN.
Finding difference(std::string_view what, double got, double expected, double allowed);
/// The same of the value, and of the largest difference between gradients, which is named.
Finding difference(const ValueAndGradients& got, const ValueAndGradients& expected, double allowed);

/// The batch after a step along the sphere against the gradient of its embeddings, the largest of several that lowers
/// the loss; nullopt: none does. The batch itself where there is no gradient.
std::optional<ContrastiveBatch> stepped_down(const ContrastiveLoss& loss, const ContrastiveBatch& batch);

/// What the check finds in a case, if it finds anything or throws.
std::optional<Violation> examine(const Subject& subject, const Case& one,
                                 const std::function<Finding(const Case&)>& check);

/// Sizes to try from the smallest upward, those below claims.smallest_batch left out, each with all targets the loss
/// uses and several seeds.
struct Grid {
  std::vector<std::int64_t> sizes{1, 2, 3, 5, 8};
  std::vector<std::int64_t> dims{2, 3, 8};
  std::vector<TargetKind> targets{};
  std::uint64_t seeds = 3;
};
Grid all_cases(const Subject& subject);
/// Without groups and soft targets.
Grid plain_cases();

std::optional<Violation> first_violation(const Subject& subject, const Grid& grid,
                                         const std::function<Finding(const Case&)>& check);
/// The same with check(subject, case).
std::optional<Violation> first_violation(const Subject& subject, const Grid& grid,
                                         Finding (*check)(const Subject&, const Case&));

// One for each Property.
std::optional<Violation> check_purity(const Subject& subject);
std::optional<Violation> check_gradients(const Subject& subject);
std::optional<Violation> check_descent(const Subject& subject);
std::optional<Violation> check_pair_order(const Subject& subject);
std::optional<Violation> check_modality_symmetry(const Subject& subject);
std::optional<Violation> check_rotation(const Subject& subject);
std::optional<Violation> check_unit_length(const Subject& subject);
std::optional<Violation> check_padding(const Subject& subject);
std::optional<Violation> check_custom_targets(const Subject& subject);
std::optional<Violation> check_perfect_alignment(const Subject& subject);
std::optional<Violation> check_scale_sharpens(const Subject& subject);
std::optional<Violation> check_batch_growth(const Subject& subject);
std::optional<Violation> check_lower_bound(const Subject& subject);
std::optional<Violation> check_edges(const Subject& subject);
std::optional<Violation> check_bfloat16(const Subject& subject);
std::optional<Violation> check_micro_batches(const Subject& subject);
std::optional<Violation> check_processes(const Subject& subject);
std::optional<Violation> check_other_texts(const Subject& subject);
std::optional<Violation> check_cuda(const Subject& subject);

}  // namespace vlalign::kit
