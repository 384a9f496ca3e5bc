#include "vlalign/loss/interactive_contrast.hpp"

#include <ATen/TensorOperators.h>

#include "loss/checked_batch.hpp"
#include "loss/checked_teacher.hpp"
#include "vlalign/loss/tiled.hpp"

namespace vlalign {

at::Tensor InteractiveContrast::forward(const ContrastiveBatch& batch) const {
  const auto student = checked_pairs(batch, "InteractiveContrast");
  const auto teacher = checked_teacher_of_equal_size(batch, "InteractiveContrast", student);
  const auto scale = checked_scale(batch, "InteractiveContrast", student.image);
  const auto own = student.own;
  const auto contrast = [&](const at::Tensor& anchors, const at::Tensor& targets) {
    const auto rows = narrowed(anchors, own);
    return (tiles::log_sum_exp(rows, targets, scale).rows - scale * (rows * narrowed(targets, own)).sum(1)).mean();
  };
  return (contrast(student.image, teacher.text) + contrast(student.text, teacher.image)) / 2.0;
}

}  // namespace vlalign
