// Sizes that follow a batch. Internal.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>

namespace vlalign::onnx {

/// How large the input of a recording was: rows B, and tokens L where it has a text of no fixed length.
struct Extent {
  std::int64_t rows, tokens = 0;
};

/// constant + per_row * B + per_token * L + per_both * B * L.
struct Size {
  std::int64_t constant = 0, per_row = 0, per_token = 0, per_both = 0;

  bool is_constant() const { return per_row == 0 && per_token == 0 && per_both == 0; }
  std::int64_t at(const Extent& extent) const;
  friend bool operator==(const Size&, const Size&) = default;
};

/// "3", "B", "2 * L + 1": for messages and for the names of an input's dimensions.
std::string to_string(const Size& size);

/// The size that explains what was seen at each extent, if there is one. The first four extents are (B, L), (B + 1, L),
/// (B, L + n) and (B + 1, L + n), or, where all lengths are equal, the first two are (B, L) and (B + 1, L); the others
/// test what these give.
std::optional<Size> explain(std::span<const std::int64_t> seen, std::span<const Extent> extents);

}  // namespace vlalign::onnx
