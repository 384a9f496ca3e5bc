#include "export/size.hpp"

#include <algorithm>
#include <cstdlib>

namespace vlalign::onnx {
namespace {

bool same_lengths(std::span<const Extent> extents) {
  return std::all_of(extents.begin(), extents.end(),
                     [&](const Extent& extent) { return extent.tokens == extents.front().tokens; });
}

/// The only candidate: it follows from the first extents.
Size candidate(std::span<const std::int64_t> seen, std::span<const Extent> extents) {
  const auto [rows, tokens] = extents[0];
  Size size;
  if (same_lengths(extents)) {
    size.per_row = seen[1] - seen[0];
  } else {
    const auto longer = extents[2].tokens - tokens;
    size.per_both = (seen[3] - seen[2] - seen[1] + seen[0]) / longer;
    size.per_token = (seen[2] - seen[0]) / longer - size.per_both * rows;
    size.per_row = seen[1] - seen[0] - size.per_both * tokens;
  }
  size.constant = seen[0] - size.at(extents[0]);
  return size;
}

void append(std::string& text, std::int64_t factor, const char* letters) {
  if (factor == 0) return;
  if (!text.empty()) text += factor < 0 ? " - " : " + ";
  if (text.empty() && factor < 0) text += "-";
  if (std::abs(factor) != 1) text += std::to_string(std::abs(factor)) + " * ";
  text += letters;
}

}  // namespace

std::int64_t Size::at(const Extent& extent) const {
  return constant + per_row * extent.rows + per_token * extent.tokens + per_both * extent.rows * extent.tokens;
}

std::string to_string(const Size& size) {
  std::string text;
  append(text, size.per_both, "B * L");
  append(text, size.per_row, "B");
  append(text, size.per_token, "L");
  if (text.empty()) return std::to_string(size.constant);
  if (size.constant != 0) text += (size.constant < 0 ? " - " : " + ") + std::to_string(std::abs(size.constant));
  return text;
}

std::optional<Size> explain(std::span<const std::int64_t> seen, std::span<const Extent> extents) {
  const auto size = candidate(seen, extents);
  for (std::size_t i = 0; i < seen.size(); ++i)
    if (size.at(extents[i]) != seen[i]) return std::nullopt;
  return size;
}

}  // namespace vlalign::onnx
