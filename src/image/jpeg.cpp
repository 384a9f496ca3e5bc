#include <algorithm>
#include <array>
#include <csetjmp>
#include <cstdio>
#include <string_view>
#include <utility>

// clang-format off: it needs <cstdio> before it
#include <jerror.h>
#include <jpeglib.h>
// clang-format on

#include "core/check.hpp"
#include "image/codecs.hpp"

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

/// Whether every pixel is still decoded from the file's own data. The other warnings say that data were missing or
/// made no sense, and that libjpeg made pixels up.
bool is_harmless(int warning) {
  constexpr std::array harmless{
      JWRN_ADOBE_XFORM,        // an unknown colour transform: the usual one is taken
      JWRN_BOGUS_PROGRESSION,  // scans in an unusual order: each is decoded
      JWRN_EXTRANEOUS_DATA,    // bytes between segments are skipped
      JWRN_JFIF_MAJOR,         // another revision of JFIF
      JWRN_NOT_SEQUENTIAL,     // scan parameters that a sequential JPEG doesn't use
  };
  return std::find(harmless.begin(), harmless.end(), warning) != harmless.end();
}

// libjpeg goes on after damaged or missing data; it says so in a message of negative level.
void refuse_damage(j_common_ptr jpeg, int level) {
  if (level < 0 && !is_harmless(jpeg->err->msg_code)) jump(jpeg);
}

/// Those of the APP1 segments that begin so, without it.
std::vector<Bytes> segments_of(const jpeg_decompress_struct& jpeg, std::string_view beginning) {
  std::vector<Bytes> found;
  for (auto* marker = jpeg.marker_list; marker != nullptr; marker = marker->next) {
    const Bytes data(marker->data, marker->data_length);
    if (data.size() >= beginning.size() && std::equal(beginning.begin(), beginning.end(), data.begin()))
      found.push_back(data.subspan(beginning.size()));
  }
  return found;
}

int read_orientation(const jpeg_decompress_struct& jpeg) {
  std::vector<std::uint8_t> exif;  // what doesn't fit a segment goes on in the next
  for (const auto part : segments_of(jpeg, std::string_view("Exif\0\0", 6)))
    exif.insert(exif.end(), part.begin(), part.end());
  const auto xmp = segments_of(jpeg, std::string_view("http://ns.adobe.com/xap/1.0/\0", 29));
  const auto packet = xmp.empty() ? Bytes() : xmp.back();
  return stored_orientation(exif, {reinterpret_cast<const char*>(packet.data()), packet.size()});
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
  return true;  // what follows the last row is not looked at
}

}  // namespace

Image decode_jpeg(Bytes bytes, std::string_view name, const NeededSide& needed_side, PixelsAs as) {
  Decoder decoder;
  const auto& jpeg = decoder.jpeg;
  const auto broken = [&] { fail("[decode_image] {}: broken JPEG file: {}", name, decoder.message); };
  if (!read_header(decoder, bytes)) broken();
  check_size(jpeg.image_width, jpeg.image_height, name);
  if (as == PixelsAs::vlalign) decoder.orientation = read_orientation(jpeg);
  if (!set_reduction(decoder, reduction(decoder, needed_side))) broken();
  Image image = blank_image(jpeg.output_width, jpeg.output_height, name);
  std::vector<std::uint8_t> inks(jpeg.out_color_space == JCS_CMYK ? 4 * std::size_t{jpeg.output_width} : 0);
  if (!read_pixels(decoder, inks, image.rgb.data())) broken();
  return turn_upright(std::move(image), decoder.orientation);
}

}  // namespace vlalign
