#include <png.h>

#include <array>
#include <csetjmp>
#include <cstring>
#include <string>

#include "core/check.hpp"
#include "core/foreign_errors.hpp"
#include "data/codecs.hpp"

namespace vlalign {
namespace {

/// libpng's reader. Its errors longjmp, so the functions that call it make no objects with destructors, and return
/// false with `message` filled.
struct Reader {
  Bytes rest;
  png_structp png = nullptr;
  png_infop info = nullptr;
  std::jmp_buf on_fault{};
  char message[128] = "out of memory";

  explicit Reader(Bytes bytes) : rest(bytes) {}
  Reader(const Reader&) = delete;
  Reader& operator=(const Reader&) = delete;
  ~Reader() { png_destroy_read_struct(&png, &info, nullptr); }
};

[[noreturn]] void jump(png_structp png, png_const_charp message) {
  auto* reader = static_cast<Reader*>(png_get_error_ptr(png));
  std::strncpy(reader->message, message, sizeof(reader->message) - 1);
  std::longjmp(reader->on_fault, 1);
}

void ignore(png_structp, png_const_charp) {}

void take(png_structp png, png_bytep out, std::size_t size) {
  auto* reader = static_cast<Reader*>(png_get_io_ptr(png));
  if (size > reader->rest.size()) png_error(png, "the file ends too early");
  std::memcpy(out, reader->rest.data(), size);
  reader->rest = reader->rest.subspan(size);
}

/// Reads all that comes before the pixels, and asks for 8-bit RGB, or RGBA where anything is transparent; for a byte a
/// pixel where there is a palette.
bool read_header(Reader& reader) {
  reader.png = png_create_read_struct(PNG_LIBPNG_VER_STRING, &reader, jump, ignore);
  if (reader.png == nullptr || setjmp(reader.on_fault)) return false;
  png_structp png = reader.png;
  reader.info = png_create_info_struct(png);
  if (reader.info == nullptr) return false;
  png_set_read_fn(png, &reader, take);
  png_set_crc_action(png, PNG_CRC_ERROR_QUIT, PNG_CRC_ERROR_QUIT);
  png_set_option(png, PNG_IGNORE_ADLER32, PNG_OPTION_ON);  // a second sum over what each chunk's CRC covers
  png_read_info(png, reader.info);
  if (png_get_color_type(png, reader.info) == PNG_COLOR_TYPE_PALETTE) {
    png_set_packing(png);
  } else {
    png_set_expand(png);
    png_set_strip_16(png);
    png_set_gray_to_rgb(png);
  }
  png_set_interlace_handling(png);
  png_read_update_info(png, reader.info);
  return true;
}

bool read_pixels(Reader& reader, std::vector<std::uint8_t*>& rows) {
  if (setjmp(reader.on_fault)) return false;
  png_read_image(reader.png, rows.data());
  png_read_end(reader.png, reader.info);
  return true;
}

int read_orientation(Reader& reader) {
  png_uint_32 size = 0;
  png_bytep exif = nullptr;
  if (png_get_eXIf_1(reader.png, reader.info, &size, &exif) == 0) return 1;
  return exif_orientation({exif, size});
}

using Rgbx = std::array<std::uint8_t, 4>;

/// The palette's colours laid on white; black past its end.
std::array<Rgbx, 256> read_palette(Reader& reader) {
  png_colorp colors = nullptr;
  png_bytep alphas = nullptr;
  int size = 0, transparent = 0;
  png_get_PLTE(reader.png, reader.info, &colors, &size);
  png_get_tRNS(reader.png, reader.info, &alphas, &transparent, nullptr);
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

std::vector<std::uint8_t*> row_pointers(std::uint8_t* pixels, std::size_t height, std::size_t row_bytes) {
  std::vector<std::uint8_t*> rows(height);
  for (std::size_t y = 0; y < height; ++y) rows[y] = pixels + y * row_bytes;
  return rows;
}

}  // namespace

Image decode_png(Bytes bytes, std::string_view name) {
  Reader reader(bytes);
  const auto broken = [&] { fail("[decode_image] {}: broken PNG file: {}", name, reader.message); };
  if (!read_header(reader)) broken();
  const auto width = png_get_image_width(reader.png, reader.info);
  const auto height = png_get_image_height(reader.png, reader.info);
  const auto channels = std::size_t{png_get_channels(reader.png, reader.info)};
  Image image = blank_image(width, height, name);
  const std::size_t pixels = std::size_t{width} * height;
  std::vector<std::uint8_t> raw(channels == 3 ? 0 : channels * pixels);  // RGBA, or indices into the palette
  auto rows = row_pointers(channels == 3 ? image.rgb.data() : raw.data(), height, channels * width);
  if (!read_pixels(reader, rows)) broken();
  if (channels == 4) lay_on_white(raw.data(), pixels, image.rgb.data());
  if (channels == 1) look_up(raw, read_palette(reader), image.rgb.data());
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
