#pragma once

#include <hb.h>

#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

namespace emoji {

/// A colour font whose glyphs are PNG pictures (OpenType CBDT or sbix), such as Debian's fonts-noto-color-emoji.
class Font {
 public:
  /// Throws vlalign::Error when the file is missing, is not a font, or holds no PNG pictures.
  explicit Font(const std::filesystem::path& file);

  /// The PNG file of an emoji, from the font's largest strike; pixels around the drawing are transparent.
  ///   sequence: UTF-8, its code points without U+FE0F
  /// Nothing when the font has no picture of it or draws the sequence as several glyphs.
  std::optional<std::string> picture(std::string_view sequence) const;

 private:
  std::shared_ptr<hb_font_t> font_;
};

}  // namespace emoji
