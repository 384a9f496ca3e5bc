#include <png.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <csetjmp>
#include <cstring>
#include <iterator>
#include <string>
#include <utility>

#include "core/check.hpp"
#include "core/foreign_errors.hpp"
#include "image/codecs.hpp"
#include "image/unpacked_png.hpp"

namespace vlalign {
namespace {

/// libpng's reader. Its errors longjmp, so the functions that call it make no objects with destructors, and return
/// false with `message` filled.
struct Reader {
  Bytes rest;
  PixelsAs as;
  bool are_sums_known;  ///< the pixels were unpacked before, and their sum was right
  png_structp png = nullptr;
  png_infop info = nullptr;
  std::jmp_buf on_fault{};
  bool has_wrong_crc = false;     ///< of a chunk of pixels
  bool has_doubtful_end = false;  ///< zlib's sum is wrong or was not reached
  bool has_wrong_sum = false;     ///< zlib's sum is wrong
  char message[128] = "out of memory";

  Reader(Bytes bytes, PixelsAs pixels, bool sums_known) : rest(bytes), as(pixels), are_sums_known(sums_known) {}
  Reader(const Reader&) = delete;
  Reader& operator=(const Reader&) = delete;
  ~Reader() { png_destroy_read_struct(&png, &info, nullptr); }
};

[[noreturn]] void jump(png_structp png, png_const_charp message) {
  auto* reader = static_cast<Reader*>(png_get_error_ptr(png));
  std::strncpy(reader->message, message, sizeof(reader->message) - 1);
  std::longjmp(reader->on_fault, 1);
}

/// Of the warnings only those about the pixels' sums matter.
void note(png_structp png, png_const_charp message) {
  auto* reader = static_cast<Reader*>(png_get_error_ptr(png));
  const std::string_view text(message);
  if (text.ends_with("CRC error")) {
    reader->has_wrong_crc = true;
    std::strncpy(reader->message, message, sizeof(reader->message) - 1);
  } else if (!text.ends_with("Extra compressed data")) {  // behind the sum
    reader->has_doubtful_end = true;
    reader->has_wrong_sum |= text.ends_with("incorrect data check");
  }
}

/// A chunk of pixels that the file's end cuts is as long as what is there of it: perhaps all rows are.
void shorten_cut_pixels(png_bytep header, std::size_t there) {
  if (std::memcmp(header + 4, "IDAT", 4) == 0 && png_get_uint_32(header) > there)
    png_save_uint_32(header, static_cast<png_uint_32>(there));
}

void take(png_structp png, png_bytep out, std::size_t size) {
  auto* reader = static_cast<Reader*>(png_get_io_ptr(png));
  if (size > reader->rest.size()) png_error(png, "the file ends too early");
  std::memcpy(out, reader->rest.data(), size);
  reader->rest = reader->rest.subspan(size);
  if (size == 8) shorten_cut_pixels(out, reader->rest.size());  // a chunk's header
}

bool is_grey16(const Reader& reader) {
  return png_get_color_type(reader.png, reader.info) == PNG_COLOR_TYPE_GRAY &&
         png_get_bit_depth(reader.png, reader.info) == 16;
}

/// Asks for 8-bit RGB, or RGBA where anything is to be laid on white; for a byte a pixel where there is a palette; for
/// 16-bit grey as it is where the peer cuts it.
void choose_format(Reader& reader) {
  png_structp png = reader.png;
  const bool for_peer = reader.as == PixelsAs::peer;
  if (png_get_color_type(png, reader.info) == PNG_COLOR_TYPE_PALETTE) {
    png_set_packing(png);
  } else if (!for_peer || !is_grey16(reader)) {
    png_set_expand(png);
    png_set_strip_16(png);
    png_set_gray_to_rgb(png);
    if (for_peer) png_set_strip_alpha(png);
  }
  png_set_interlace_handling(png);
  png_read_update_info(png, reader.info);
}

/// Reads all that comes before the pixels.
bool read_header(Reader& reader) {
  reader.png = png_create_read_struct(PNG_LIBPNG_VER_STRING, &reader, jump, note);
  if (reader.png == nullptr || setjmp(reader.on_fault)) return false;
  png_structp png = reader.png;
  reader.info = png_create_info_struct(png);
  if (reader.info == nullptr) return false;
  png_set_read_fn(png, &reader, take);
  png_set_crc_action(png, PNG_CRC_ERROR_QUIT, PNG_CRC_ERROR_QUIT);
  if (reader.are_sums_known) png_set_option(png, PNG_IGNORE_ADLER32, PNG_OPTION_ON);
  png_set_keep_unknown_chunks(png, PNG_HANDLE_CHUNK_ALWAYS, reinterpret_cast<png_const_bytep>("eXIf"), 1);
  png_read_info(png, reader.info);
  choose_format(reader);
  return true;
}

/// libpng moves on to the next row or pass before it reads what follows a row.
bool is_past_last_row(const Reader& reader) {
  if (png_get_interlace_type(reader.png, reader.info) == PNG_INTERLACE_NONE)
    return png_get_current_row_number(reader.png) == png_get_image_height(reader.png, reader.info);
  return png_get_current_pass_number(reader.png) == PNG_INTERLACE_ADAM7_PASSES;
}

/// Two sums guard the pixels: each chunk's, and zlib's over all that they unpack to. Where one of them is right, only
/// the other is damaged; where the file ends before them, neither may be wrong.
bool read_pixels(Reader& reader, std::vector<std::uint8_t*>& rows) {
  if (setjmp(reader.on_fault)) return is_past_last_row(reader) && !reader.has_wrong_crc && !reader.has_wrong_sum;
  reader.has_doubtful_end = false;
  png_set_crc_action(reader.png, reader.are_sums_known ? PNG_CRC_QUIET_USE : PNG_CRC_WARN_USE, PNG_CRC_QUIET_USE);
  png_read_image(reader.png, rows.data());
  return !(reader.has_wrong_crc && reader.has_doubtful_end);
}

/// What lies behind the pixels, as far as it is whole.
void read_rest(Reader& reader) {
  if (setjmp(reader.on_fault)) return;
  png_read_end(reader.png, reader.info);
}

/// Three lines, which say what and how long it is, and then hexadecimal digits; empty where it is anything else.
std::vector<std::uint8_t> parse_raw_profile(std::string_view text) {
  for (int line = 0; line < 3; ++line) {
    const auto end = text.find('\n');
    if (end == text.npos) return {};
    text.remove_prefix(end + 1);
  }
  std::string digits;
  std::copy_if(text.begin(), text.end(), std::back_inserter(digits), [](char c) { return c != '\n' && c != ' '; });
  std::vector<std::uint8_t> bytes(digits.size() / 2);
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    const char* digit = digits.data() + 2 * i;
    if (std::from_chars(digit, digit + 2, bytes[i], 16).ptr != digit + 2) return {};
  }
  return bytes;
}

/// The last of the texts under this keyword; empty where there is none.
std::string_view find_text(const Reader& reader, std::string_view keyword) {
  png_textp texts = nullptr;
  for (int i = png_get_text(reader.png, reader.info, &texts, nullptr) - 1; i >= 0; --i) {
    const auto& text = texts[i];
    if (text.key == keyword) return {text.text, text.compression > 0 ? text.itxt_length : text.text_length};
  }
  return {};
}

std::vector<std::uint8_t> read_exif(const Reader& reader) {
  png_unknown_chunkp chunks = nullptr;
  for (int i = png_get_unknown_chunks(reader.png, reader.info, &chunks) - 1; i >= 0; --i)
    return {chunks[i].data, chunks[i].data + chunks[i].size};
  return parse_raw_profile(find_text(reader, "Raw profile type exif"));
}

int read_orientation(const Reader& reader) {
  return stored_orientation(read_exif(reader), find_text(reader, "XML:com.adobe.xmp"));
}

using Rgbx = std::array<std::uint8_t, 4>;

/// The palette's colours, laid on white unless they are for the peer; black past its end.
std::array<Rgbx, 256> read_palette(Reader& reader) {
  png_colorp colors = nullptr;
  png_bytep alphas = nullptr;
  int size = 0, transparent = 0;
  png_get_PLTE(reader.png, reader.info, &colors, &size);
  if (reader.as == PixelsAs::vlalign) png_get_tRNS(reader.png, reader.info, &alphas, &transparent, nullptr);
  std::array<Rgbx, 256> palette{};
  for (int i = 0; i < size; ++i) {
    const Rgbx color{colors[i].red, colors[i].green, colors[i].blue, i < transparent ? alphas[i] : std::uint8_t{255}};
    lay_on_white(color.data(), 1, palette[static_cast<std::size_t>(i)].data());
  }
  return palette;
}

void look_up(const std::vector<std::uint8_t>& indices, const std::array<Rgbx, 256>& palette, std::uint8_t* rgb) {
  const std::size_t last = indices.size() - 1;
  for (std::size_t i = 0; i < last; ++i)
    std::memcpy(rgb + 3 * i, palette[indices[i]].data(), 4);  // 4 at once is fastest
  std::memcpy(rgb + 3 * last, palette[indices[last]].data(), 3);
}

/// As Pillow makes L of I;16.
void cut_at_255(const std::vector<std::uint8_t>& grey16, std::uint8_t* rgb) {
  for (std::size_t i = 0; i < grey16.size(); i += 2, rgb += 3) {
    const std::uint8_t grey = grey16[i] == 0 ? grey16[i + 1] : std::uint8_t{255};
    std::fill_n(rgb, 3, grey);
  }
}

std::vector<std::uint8_t*> row_pointers(std::uint8_t* pixels, std::size_t height, std::size_t row_bytes) {
  std::vector<std::uint8_t*> rows(height);
  for (std::size_t y = 0; y < height; ++y) rows[y] = pixels + y * row_bytes;
  return rows;
}

}  // namespace

Image decode_png(Bytes bytes, std::string_view name, PixelsAs as) {
  const auto unpacked = unpacked_png(bytes);
  Reader reader(unpacked ? Bytes(*unpacked) : bytes, as, unpacked.has_value());
  const auto broken = [&] { fail("[decode_image] {}: broken PNG file: {}", name, reader.message); };
  if (!read_header(reader)) broken();
  const auto width = png_get_image_width(reader.png, reader.info);
  const auto height = png_get_image_height(reader.png, reader.info);
  Image image = blank_image(width, height, name);
  const std::size_t pixels = std::size_t{width} * height, row_bytes = png_get_rowbytes(reader.png, reader.info);
  const auto channels = row_bytes / width;
  std::vector<std::uint8_t> raw(channels == 3 ? 0 : channels * pixels);
  auto rows = row_pointers(channels == 3 ? image.rgb.data() : raw.data(), height, row_bytes);
  if (!read_pixels(reader, rows)) broken();
  if (channels == 4) lay_on_white(raw.data(), pixels, image.rgb.data());
  if (channels == 2) cut_at_255(raw, image.rgb.data());
  if (channels == 1) look_up(raw, read_palette(reader), image.rgb.data());
  if (as == PixelsAs::peer) return image;
  read_rest(reader);
  return turn_upright(std::move(image), read_orientation(reader));
}

std::vector<std::byte> encode_png(const Image& image) {
  check_image(image, "encode_png");
  png_image png{};
  png.version = PNG_IMAGE_VERSION;
  png.format = PNG_FORMAT_RGB;
  png.width = static_cast<png_uint_32>(image.width);
  png.height = static_cast<png_uint_32>(image.height);
  auto file =
      without_foreign_errors("[encode_png]", [&] { return std::vector<std::byte>(PNG_IMAGE_PNG_SIZE_MAX(png)); });
  png_alloc_size_t size = file.size();
  const int written = png_image_write_to_memory(&png, file.data(), &size, 0, image.rgb.data(), 0, nullptr);
  check(written != 0, "[encode_png] {}x{} pixels: {}", image.width, image.height, png.message);
  file.resize(size);
  return file;
}

}  // namespace vlalign
