#include "font.hpp"

#include <fmt/format.h>
#include <hb-ot.h>

#include <algorithm>
#include <array>

#include "vlalign/core/error.hpp"

namespace emoji {
namespace {

constexpr std::string_view emoji_style = "\uFE0F";
constexpr std::string_view joiner = "\u200D";

// U+FE0F asks for the coloured form. Fonts differ in where they expect it: nowhere, at the end, or before each joiner.
std::array<std::string, 3> spellings(std::string_view sequence) {
  std::string before_joiners;
  for (std::size_t start = 0; start < sequence.size();) {
    const auto found = std::min(sequence.find(joiner, start), sequence.size());
    before_joiners += sequence.substr(start, found - start);
    if (found < sequence.size()) (before_joiners += emoji_style) += joiner;
    start = found + joiner.size();
  }
  return {std::string(sequence), std::string(sequence) + std::string(emoji_style), before_joiners};
}

std::optional<hb_codepoint_t> single_glyph(hb_font_t* font, const std::string& text) {
  const std::shared_ptr<hb_buffer_t> buffer(hb_buffer_create(), hb_buffer_destroy);
  hb_buffer_add_utf8(buffer.get(), text.data(), static_cast<int>(text.size()), 0, -1);
  hb_buffer_guess_segment_properties(buffer.get());
  hb_shape(font, buffer.get(), nullptr, 0);
  unsigned count = 0;
  const auto* glyphs = hb_buffer_get_glyph_infos(buffer.get(), &count);
  if (count != 1 || glyphs[0].codepoint == 0) return std::nullopt;  // glyph 0 stands for what the font lacks
  return glyphs[0].codepoint;
}

std::string glyph_png(hb_font_t* font, hb_codepoint_t glyph) {
  const std::shared_ptr<hb_blob_t> png(hb_ot_color_glyph_reference_png(font, glyph), hb_blob_destroy);
  unsigned size = 0;
  const char* bytes = hb_blob_get_data(png.get(), &size);
  return size == 0 ? std::string() : std::string(bytes, size);
}

}  // namespace

Font::Font(const std::filesystem::path& file) {
  const std::shared_ptr<hb_blob_t> blob(hb_blob_create_from_file_or_fail(file.c_str()), hb_blob_destroy);
  if (!blob) {
    throw vlalign::Error(
        fmt::format("[emoji font] {}: cannot read. Install it with: apt-get install fonts-noto-color-emoji; or name "
                    "another with --font",
                    file.string()));
  }
  const std::shared_ptr<hb_face_t> face(hb_face_create(blob.get(), 0), hb_face_destroy);
  if (!hb_ot_color_has_png(face.get())) {
    throw vlalign::Error(fmt::format(
        "[emoji font] {}: not a font with PNG pictures (a CBDT or sbix table), which fonts-noto-color-emoji has",
        file.string()));
  }
  font_.reset(hb_font_create(face.get()), hb_font_destroy);
}

std::optional<std::string> Font::picture(std::string_view sequence) const {
  for (const auto& text : spellings(sequence)) {
    if (const auto glyph = single_glyph(font_.get(), text)) {
      if (auto png = glyph_png(font_.get(), *glyph); !png.empty()) return png;
    }
  }
  return std::nullopt;
}

}  // namespace emoji
