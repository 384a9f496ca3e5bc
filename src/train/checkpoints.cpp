#include "vlalign/train/checkpoints.hpp"

#include <array>
#include <utility>

#include "core/check.hpp"

namespace vlalign {
namespace {

constexpr std::array<std::pair<std::string_view, NonFinite>, 3> policies{
    {{"skip", NonFinite::skip}, {"stop", NonFinite::stop}, {"rewind", NonFinite::rewind}}};

}  // namespace

NonFinite parse_non_finite(std::string_view name) {
  for (const auto& [known, policy] : policies)
    if (known == name) return policy;
  fail("non_finite: expected skip, stop or rewind, got \"{}\"", name);
}

std::string_view to_string(NonFinite policy) {
  for (const auto& [name, known] : policies)
    if (known == policy) return name;
  return {};
}

}  // namespace vlalign
