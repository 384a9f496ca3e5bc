#pragma once

#include <cstdint>
#include <string>

namespace vlalign {

/// A text that stands for one id of its own wherever a caption holds it, such as "[MASK]". The flags are those of
/// Hugging Face's AddedToken (lstrip, rstrip, normalized, special).
struct AddedToken {
  std::string text = {};
  std::int64_t id = 0;
  bool strip_left = false;   ///< takes the white space before it along
  bool strip_right = false;  ///< takes the white space behind it along
  bool normalized = false;   ///< is looked for in the normalized text, not in the caption as it came
  bool special = true;       ///< left out by decode()
};

}  // namespace vlalign
