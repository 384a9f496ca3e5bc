#include "tabletop/moving_picture.hpp"

#include <webp/encode.h>
#include <webp/mux.h>

#include <algorithm>
#include <memory>

#include "core/check.hpp"
#include "report/contact_sheet.hpp"

namespace tabletop {
namespace {

using vlalign::check;
using vlalign::Image;

constexpr int line = 2, pictures_per_second = 10, pause = 12;

void copy_into(Image& sheet, const Image& picture, int left) {
  const auto row = static_cast<std::size_t>(3 * picture.width);
  for (int y = 0; y < picture.height; ++y) {
    std::copy_n(picture.rgb.begin() + static_cast<std::ptrdiff_t>(row) * y, row,
                sheet.rgb.begin() + 3 * (static_cast<std::ptrdiff_t>(sheet.width) * y + left));
  }
}

struct Delete {
  void operator()(WebPAnimEncoder* encoder) const { WebPAnimEncoderDelete(encoder); }
};

void add_picture(WebPAnimEncoder* encoder, const Image& image, int milliseconds) {
  WebPConfig config;
  WebPPicture picture;
  check(WebPConfigPreset(&config, WEBP_PRESET_DRAWING, 80) && WebPPictureInit(&picture),
        "WebP: another version's library");
  picture.width = image.width;
  picture.height = image.height;
  picture.use_argb = 1;
  const bool added = WebPPictureImportRGB(&picture, image.rgb.data(), 3 * image.width) &&
                     WebPAnimEncoderAdd(encoder, &picture, milliseconds, &config);
  WebPPictureFree(&picture);
  check(added, "WebP: {}", WebPAnimEncoderGetError(encoder));
}

}  // namespace

Image side_by_side(const std::vector<Image>& pictures) {
  check(!pictures.empty(), "[side_by_side] no pictures");
  const auto& first = pictures.front();
  const int step = first.width + line;
  Image sheet{step * static_cast<int>(pictures.size()) - line, first.height, {}};
  sheet.rgb.assign(3 * static_cast<std::size_t>(sheet.width) * static_cast<std::size_t>(sheet.height), 255);
  for (std::size_t i = 0; i < pictures.size(); ++i) copy_into(sheet, pictures[i], step * static_cast<int>(i));
  return sheet;
}

std::vector<std::byte> moving(const std::vector<std::vector<Image>>& films) {
  std::size_t longest = 0;
  for (const auto& film : films) longest = std::max(longest, film.size());
  check(longest > 0, "[moving] no pictures");
  std::unique_ptr<WebPAnimEncoder, Delete> encoder;
  int milliseconds = 0;
  for (std::size_t t = 0; t < longest + pause; ++t) {
    std::vector<Image> now;
    for (const auto& film : films) now.push_back(film[std::min(t, film.size() - 1)]);
    const auto sheet = side_by_side(now);
    if (!encoder) encoder.reset(WebPAnimEncoderNew(sheet.width, sheet.height, nullptr));
    add_picture(encoder.get(), sheet, milliseconds);
    milliseconds += 1000 / pictures_per_second;
  }
  WebPData data;
  WebPDataInit(&data);
  const bool made = WebPAnimEncoderAdd(encoder.get(), nullptr, milliseconds, nullptr) &&
                    WebPAnimEncoderAssemble(encoder.get(), &data);
  check(made, "WebP: {}", WebPAnimEncoderGetError(encoder.get()));
  const auto* bytes = reinterpret_cast<const std::byte*>(data.bytes);
  std::vector<std::byte> webp(bytes, bytes + data.size);
  WebPDataClear(&data);
  return webp;
}

std::string png_uri(const Image& picture) { return vlalign::data_uri("image/png", encode_png(picture)); }
std::string webp_uri(const std::vector<std::byte>& webp) { return vlalign::data_uri("image/webp", webp); }

}  // namespace tabletop
