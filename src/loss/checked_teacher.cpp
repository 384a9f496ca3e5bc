#include "loss/checked_teacher.hpp"

#include "core/check.hpp"

namespace vlalign {

Pairs checked_teacher(const ContrastiveBatch& batch, std::string_view loss) {
  const Pairs teacher{checked_unit_rows(batch.teacher_image, loss, "teacher_image").detach(),
                      checked_unit_rows(batch.teacher_text, loss, "teacher_text").detach()};
  check(teacher.size() == batch.image.size(0), "[{}] teacher_image: expected {} rows, got {}", loss,
        batch.image.size(0), teacher.size());
  check(teacher.text.sizes() == teacher.image.sizes(), "[{}] teacher_text: expected {}, got {}", loss,
        teacher.image.sizes().vec(), teacher.text.sizes().vec());
  return teacher;
}

Pairs checked_teacher_of_equal_size(const ContrastiveBatch& batch, std::string_view loss) {
  auto teacher = checked_teacher(batch, loss);
  check(teacher.image.size(1) == batch.image.size(1),
        "[{}] teacher_image: expected the student's dimension {}, got {}; give the student a projection to the "
        "teacher's",
        loss, batch.image.size(1), teacher.image.size(1));
  return teacher;
}

}  // namespace vlalign
