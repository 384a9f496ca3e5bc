#include "vlalign/loss/affinity_distillation.hpp"

#include <ATen/TensorOperators.h>
#include <ATen/ops/log_softmax.h>
#include <ATen/ops/matmul.h>

#include "core/check.hpp"
#include "loss/checked_batch.hpp"
#include "loss/checked_teacher.hpp"
#include "vlalign/loss/tiled.hpp"

namespace vlalign {
namespace {

/// Rows and columns of logits, and what their cosines are multiplied by.
struct Logits {
  at::Tensor rows, columns, scale;

  /// log softmax over the columns.
  at::Tensor log_probabilities(tiles::RowRange range) const {
    return at::log_softmax(at::matmul(narrowed(rows, range) * scale, columns.t()), 1);
  }
};

/// sum over the own rows of the cross-entropy (or the KL divergence) of the student's distribution from the teacher's.
at::Tensor divergence(const Logits& student, const Logits& teacher, tiles::RowRange own, bool subtract_entropy) {
  const auto of_block = [&](const std::vector<at::Tensor>& in, tiles::RowRange rows) {
    const auto log_wanted = teacher.log_probabilities(rows);
    auto missing = -Logits{in[0], in[1], in[2]}.log_probabilities(rows);
    if (subtract_entropy) missing = missing + log_wanted;
    return (log_wanted.exp() * missing).sum();
  };
  constexpr std::int64_t matrices = 2;
  return tiles::sum_over_rows({student.rows, student.columns, student.scale}, own, matrices * student.columns.size(0),
                              of_block);
}

}  // namespace

std::string AffinityDistillation::options() const {
  return fmt::format("subtract_entropy={}", options_.subtract_entropy);
}

at::Tensor AffinityDistillation::forward(const ContrastiveBatch& batch) const {
  const auto student = checked_pairs(batch, "AffinityDistillation");
  const auto teacher = checked_teacher(batch, "AffinityDistillation", student);
  const auto scale = checked_scale(batch, "AffinityDistillation", student.image);
  const auto teacher_scale =
      checked_scale(batch.teacher_logit_scale, "AffinityDistillation", "teacher_logit_scale", teacher.image).detach();
  const auto own = student.own;
  const auto of_images = divergence({student.image, student.text, scale}, {teacher.image, teacher.text, teacher_scale},
                                    own, options_.subtract_entropy);
  const auto of_texts = divergence({student.text, student.image, scale}, {teacher.text, teacher.image, teacher_scale},
                                   own, options_.subtract_entropy);
  return (of_images + of_texts) / (2.0 * static_cast<double>(own.count));
}

}  // namespace vlalign
