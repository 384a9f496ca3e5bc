#include <algorithm>
#include <csetjmp>
#include <cstdio>
#include <string_view>
#include <utility>

// clang-format off: it needs <cstdio> before it
#include <jpeglib.h>
// clang-format on

#include "core/check.hpp"
#include "data/codecs.hpp"

namespace vlalign {
namespace {

/// libjpeg's decoder. Its errors longjmp, so the functions that call it make no objects with destructors, and return
/// false with `message` filled.
struct Decoder {
  jpeg_error_mgr errors{};  // first: libjpeg hands back a pointer to it
  std::jmp_buf on_fault{};
  char message[JMSG_LENGTH_MAX]{};
  jpeg_decompress_struct jpeg{};
  int orientation = 1;

  Decoder() = default;
  Decoder(const Decoder&) = delete;
  Decoder& operator=(const Decoder&) = delete;
  ~Decoder() { jpeg_destroy_decompress(&jpeg); }
};

[[noreturn]] void jump(j_common_ptr jpeg) {
  auto* decoder = reinterpret_cast<Decoder*>(jpeg->err);
  jpeg->err->format_message(jpeg, decoder->message);
  std::longjmp(decoder->on_fault, 1);
}

// libjpeg goes on after damaged or missing data and makes pixels up; it says so in a message of negative level.
void refuse_damage(j_common_ptr jpeg, int level) {
  if (level < 0) jump(jpeg);
}

int read_orientation(const jpeg_decompress_struct& jpeg) {
  constexpr std::string_view exif("Exif\0\0", 6);
  for (auto* marker = jpeg.marker_list; marker != nullptr; marker = marker->next) {
    const Bytes data(marker->data, marker->data_length);
    if (data.size() > exif.size() && std::equal(exif.begin(), exif.end(), data.begin())) {
      return exif_orientation(data.subspan(exif.size()));
    }
  }
  return 1;
}

/// 1, 2, 4 or 8; scales between these have no vector code in libjpeg-turbo and cost more than the whole picture.
unsigned reduction(const Decoder& decoder, const NeededSide& needed_side) {
  int width = static_cast<int>(decoder.jpeg.image_width), height = static_cast<int>(decoder.jpeg.image_height);
  if (decoder.orientation >= 5) std::swap(width, height);
  const int needed = needed_side(width, height), shorter = std::min(width, height);
  for (const int denominator : {8, 4, 2}) {
    if (needed > 0 && (shorter + denominator - 1) / denominator >= needed) return static_cast<unsigned>(denominator);
  }
  return 1;
}

bool read_header(Decoder& decoder, Bytes bytes) {
  auto& jpeg = decoder.jpeg;
  jpeg.err = jpeg_std_error(&decoder.errors);
  decoder.errors.error_exit = jump;
  decoder.errors.emit_message = refuse_damage;
  if (setjmp(decoder.on_fault)) return false;
  jpeg_create_decompress(&jpeg);
  jpeg_mem_src(&jpeg, bytes.data(), bytes.size());
  jpeg_save_markers(&jpeg, JPEG_APP0 + 1, 0xFFFF);
  jpeg_read_header(&jpeg, TRUE);
  decoder.orientation = read_orientation(jpeg);
  const bool four_inks = jpeg.jpeg_color_space == JCS_CMYK || jpeg.jpeg_color_space == JCS_YCCK;
  jpeg.out_color_space = four_inks ? JCS_CMYK : JCS_RGB;
  return true;
}

bool set_reduction(Decoder& decoder, unsigned denominator) {
  if (setjmp(decoder.on_fault)) return false;
  decoder.jpeg.scale_denom = denominator;
  jpeg_calc_output_dimensions(&decoder.jpeg);
  return true;
}

// Files hold the inks inverted, as Adobe's programs write them: 255 is no ink.
void inks_to_rgb(const std::uint8_t* inks, std::size_t pixels, std::uint8_t* rgb) {
  for (std::size_t i = 0; i < pixels; ++i, inks += 4, rgb += 3) {
    for (int c = 0; c < 3; ++c) rgb[c] = static_cast<std::uint8_t>((inks[c] * inks[3] + 127) / 255);
  }
}

/// inks: one row of CMYK, or empty for an RGB picture
bool read_pixels(Decoder& decoder, std::vector<std::uint8_t>& inks, std::uint8_t* rgb) {
  auto& jpeg = decoder.jpeg;
  if (setjmp(decoder.on_fault)) return false;
  jpeg_start_decompress(&jpeg);
  while (jpeg.output_scanline < jpeg.output_height) {
    std::uint8_t* out = rgb + 3 * std::size_t{jpeg.output_scanline} * jpeg.output_width;
    std::uint8_t* row = inks.empty() ? out : inks.data();
    jpeg_read_scanlines(&jpeg, &row, 1);
    if (!inks.empty()) inks_to_rgb(inks.data(), jpeg.output_width, out);
  }
  jpeg_finish_decompress(&jpeg);
  return true;
}

}  // namespace

Image decode_jpeg(Bytes bytes, std::string_view name, const NeededSide& needed_side) {
  Decoder decoder;
  const auto& jpeg = decoder.jpeg;
  const auto broken = [&] { fail("[decode_image] {}: broken JPEG file: {}", name, decoder.message); };
  if (!read_header(decoder, bytes)) broken();
  check_size(jpeg.image_width, jpeg.image_height, name);
  if (!set_reduction(decoder, reduction(decoder, needed_side))) broken();
  Image image = blank_image(jpeg.output_width, jpeg.output_height, name);
  std::vector<std::uint8_t> inks(jpeg.out_color_space == JCS_CMYK ? 4 * std::size_t{jpeg.output_width} : 0);
  if (!read_pixels(decoder, inks, image.rgb.data())) broken();
  return turn_upright(std::move(image), decoder.orientation);
}

}  // namespace vlalign
