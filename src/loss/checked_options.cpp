#include "loss/checked_options.hpp"

#include <limits>

#include "core/check.hpp"

namespace vlalign {
namespace {

/// A loss works in float32, where a number has to be finite too, and so has its inverse.
using Float = std::numeric_limits<float>;

}  // namespace

void check_positive(double value, std::string_view loss, std::string_view option) {
  check(value > 0, "[{}] {}: expected more than 0, got {}", loss, option, value);
  check(value >= Float::min() && value <= Float::max(), "[{}] {}: expected a number that float32 holds, got {}", loss,
        option, value);
}

void check_not_negative(double value, std::string_view loss, std::string_view option) {
  check(value >= 0, "[{}] {}: expected 0 or more, got {}", loss, option, value);
  check(value <= Float::max(), "[{}] {}: expected a number that float32 holds, got {}", loss, option, value);
}

}  // namespace vlalign
