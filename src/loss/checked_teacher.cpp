#include "loss/checked_teacher.hpp"

#include "core/check.hpp"

namespace vlalign {

Pairs checked_teacher(const ContrastiveBatch& batch, std::string_view loss, const Pairs& student) {
  const auto &image = batch.teacher_image, &text = batch.teacher_text;
  check_shape(image, loss, "teacher_image");
  check_shape(text, loss, "teacher_text");
  check(image.size(0) == student.size(), "[{}] teacher_image: expected {} rows, got {}", loss, student.size(),
        image.size(0));
  check(text.sizes() == image.sizes(), "[{}] teacher_text: expected {}, got {}", loss, image.sizes().vec(),
        text.sizes().vec());
  check_alike(image, student.image, loss, "teacher_image", "image");
  check_alike(text, student.image, loss, "teacher_text", "image");
  return {checked_unit_rows(image, loss, "teacher_image").detach(),
          checked_unit_rows(text, loss, "teacher_text").detach(), student.own};
}

Pairs checked_teacher_of_equal_size(const ContrastiveBatch& batch, std::string_view loss, const Pairs& student) {
  auto teacher = checked_teacher(batch, loss, student);
  check(teacher.image.size(1) == student.image.size(1),
        "[{}] teacher_image: expected the student's dimension {}, got {}; give the student a projection to the "
        "teacher's",
        loss, student.image.size(1), teacher.image.size(1));
  return teacher;
}

}  // namespace vlalign
