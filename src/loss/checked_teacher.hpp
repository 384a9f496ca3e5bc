// What the losses that learn from a teacher check in common. Internal.
#pragma once

#include <string_view>

#include "loss/checked_batch.hpp"

namespace vlalign {

/// The teacher's images and texts, widened, without gradient; throws Error "[loss] field: ..." unless they are both
/// [B, T] of unit (or zero) rows, of the student's dtype and on its device.
Pairs checked_teacher(const ContrastiveBatch& batch, std::string_view loss, const Pairs& student);

/// The same, where T must be the student's D.
Pairs checked_teacher_of_equal_size(const ContrastiveBatch& batch, std::string_view loss, const Pairs& student);

}  // namespace vlalign
