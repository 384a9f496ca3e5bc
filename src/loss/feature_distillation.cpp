#include "vlalign/loss/feature_distillation.hpp"

#include <ATen/TensorOperators.h>

#include "loss/checked_batch.hpp"
#include "loss/checked_teacher.hpp"

namespace vlalign {

at::Tensor FeatureDistillation::forward(const ContrastiveBatch& batch) const {
  const auto student = checked_pairs(batch, "FeatureDistillation");
  const auto teacher = checked_teacher_of_equal_size(batch, "FeatureDistillation", student);
  return ((student.image - teacher.image).square() + (student.text - teacher.text).square()).sum(1).mean();
}

}  // namespace vlalign
