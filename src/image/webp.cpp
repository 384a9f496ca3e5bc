#include <webp/decode.h>
#include <webp/demux.h>

#include <string_view>
#include <utility>

#include "core/check.hpp"
#include "image/codecs.hpp"

namespace vlalign {
namespace {

/// The parts of a file. The bytes must outlive it.
class Demuxer {
 public:
  explicit Demuxer(Bytes file) {
    const WebPData data{file.data(), file.size()};
    demuxer_ = WebPDemux(&data);
    if (demuxer_ && WebPDemuxGetFrame(demuxer_, 1, &frame_) == 0) frame_ = {};
  }
  Demuxer(const Demuxer&) = delete;
  Demuxer& operator=(const Demuxer&) = delete;
  ~Demuxer() {
    WebPDemuxReleaseIterator(&frame_);
    WebPDemuxDelete(demuxer_);
  }

  bool has_picture() const { return frame_.fragment.bytes != nullptr; }
  std::uint32_t canvas_width() const { return WebPDemuxGetI(demuxer_, WEBP_FF_CANVAS_WIDTH); }
  std::uint32_t canvas_height() const { return WebPDemuxGetI(demuxer_, WEBP_FF_CANVAS_HEIGHT); }
  const WebPIterator& first_frame() const { return frame_; }

  /// The data of the first chunk of this kind; empty when there is none.
  Bytes chunk(const char* kind) const {
    WebPChunkIterator found{};
    const bool is_there = WebPDemuxGetChunk(demuxer_, kind, 1, &found) != 0;
    const Bytes data = is_there ? Bytes(found.chunk.bytes, found.chunk.size) : Bytes();
    WebPDemuxReleaseChunkIterator(&found);
    return data;
  }

 private:
  WebPDemuxer* demuxer_ = nullptr;
  WebPIterator frame_{};
};

int read_orientation(const Demuxer& file) {
  const auto xmp = file.chunk("XMP ");
  return stored_orientation(file.chunk("EXIF"), {reinterpret_cast<const char*>(xmp.data()), xmp.size()});
}

std::string_view describe(VP8StatusCode status) {
  switch (status) {
    case VP8_STATUS_OUT_OF_MEMORY:
      return "out of memory";
    case VP8_STATUS_UNSUPPORTED_FEATURE:
      return "it uses a feature that libwebp can't read";
    case VP8_STATUS_SUSPENDED:
    case VP8_STATUS_NOT_ENOUGH_DATA:
      return "the file ends too early";
    default:
      return "damaged data";
  }
}

void check_status(VP8StatusCode status, std::string_view name) {
  check(status == VP8_STATUS_OK, "[decode_image] {}: broken WebP file: {}", name, describe(status));
}

}  // namespace

Image decode_webp(Bytes bytes, std::string_view name, PixelsAs as) {
  WebPDecoderConfig config;
  WebPInitDecoderConfig(&config);
  check_status(WebPGetFeatures(bytes.data(), bytes.size(), &config.input), name);
  const bool on_white = config.input.has_alpha != 0 && as == PixelsAs::vlalign;
  check_size(config.input.width, config.input.height, name);
  const Demuxer file(bytes);
  check(file.has_picture(), "[decode_image] {}: broken WebP file: it ends too early, or its parts don't fit together",
        name);
  Image image = blank_image(file.canvas_width(), file.canvas_height(), name);
  std::vector<std::uint8_t> rgba(on_white ? image.rgb.size() / 3 * 4 : 0);

  // An animation's first frame may be smaller than the canvas, which is black and transparent around it.
  const auto& frame = file.first_frame();
  auto& canvas = on_white ? rgba : image.rgb;
  const std::size_t channels = on_white ? 4 : 3, stride = channels * static_cast<std::size_t>(image.width);
  const auto first =
      stride * static_cast<std::size_t>(frame.y_offset) + channels * static_cast<std::size_t>(frame.x_offset);
  check(first < canvas.size(), "[decode_image] {}: broken WebP file: a frame outside its canvas", name);
  config.output.colorspace = on_white ? MODE_RGBA : MODE_RGB;
  config.output.is_external_memory = 1;
  config.output.u.RGBA = {canvas.data() + first, static_cast<int>(stride), canvas.size() - first};
  check_status(WebPDecode(frame.fragment.bytes, frame.fragment.size, &config), name);

  if (on_white) lay_on_white(rgba.data(), rgba.size() / 4, image.rgb.data());
  return as == PixelsAs::peer ? image : turn_upright(std::move(image), read_orientation(file));
}

}  // namespace vlalign
