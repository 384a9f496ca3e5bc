#include "data/sources/lerobot/video.hpp"

extern "C" {
#include <libavcodec/avcodec.h>
#include <libavformat/avformat.h>
#include <libavutil/pixdesc.h>
#include <libswscale/swscale.h>
}

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <string>
#include <vector>

#include "core/check.hpp"

namespace vlalign {
namespace {

/// When a frame lies no farther ahead, decoding on to it costs less than a jump to the key frame before it.
constexpr double read_on_s = 0.5;

constexpr std::int64_t most_pixels = std::int64_t{1} << 28;  // decode_image's

template <typename T, void (*release)(T**)>
struct Releaser {
  void operator()(T* one) const { release(&one); }
};
using Format = std::unique_ptr<AVFormatContext, Releaser<AVFormatContext, avformat_close_input>>;
using Decoder = std::unique_ptr<AVCodecContext, Releaser<AVCodecContext, avcodec_free_context>>;
using Packet = std::unique_ptr<AVPacket, Releaser<AVPacket, av_packet_free>>;
using Frame = std::unique_ptr<AVFrame, Releaser<AVFrame, av_frame_free>>;

struct ScalerReleaser {
  void operator()(SwsContext* scaler) const { sws_freeContext(scaler); }
};
using Scaler = std::unique_ptr<SwsContext, ScalerReleaser>;

std::string reason(int status) {
  std::array<char, AV_ERROR_MAX_STRING_SIZE> text{};
  av_strerror(status, text.data(), text.size());
  return text.data();
}

/// The formats whose names hold "full range" are deprecated; the range is told apart.
AVPixelFormat without_range(AVPixelFormat format) {
  switch (format) {
    case AV_PIX_FMT_YUVJ420P:
      return AV_PIX_FMT_YUV420P;
    case AV_PIX_FMT_YUVJ422P:
      return AV_PIX_FMT_YUV422P;
    case AV_PIX_FMT_YUVJ444P:
      return AV_PIX_FMT_YUV444P;
    default:
      return format;
  }
}

}  // namespace

struct Video::State {
  std::string name;
  Format format;
  Decoder decoder;
  Packet packet{av_packet_alloc()};
  Frame frame{av_frame_alloc()};
  Scaler scaler;
  int stream = 0;
  double tick = 0.0;            // seconds
  bool has_frame = false;       // `frame` holds one
  bool at_end_of_file = false;  // the decoder only gives what it holds back

  explicit State(const std::filesystem::path& path) : name(path.string()) {
    AVFormatContext* opened = nullptr;
    must(avformat_open_input(&opened, name.c_str(), nullptr, nullptr), "cannot open it");
    format.reset(opened);
    const AVCodec* codec = nullptr;
    stream = av_find_best_stream(format.get(), AVMEDIA_TYPE_VIDEO, -1, -1, &codec, 0);
    must(stream, "no video that this FFmpeg decodes is in it");
    const auto* wanted = format->streams[stream];
    tick = av_q2d(wanted->time_base);
    check(std::isfinite(tick) && tick > 0, "{}: its time base is no length of time", name);
    decoder.reset(avcodec_alloc_context3(codec));
    check(decoder && packet && frame, "{}: out of memory", name);
    must(avcodec_parameters_to_context(decoder.get(), wanted->codecpar), "cannot decode it");
    decoder->thread_count = 1;
    decoder->log_level_offset = AV_LOG_DEBUG;  // silent: what matters is thrown
    must(avcodec_open2(decoder.get(), codec, nullptr), "cannot decode it");
  }

  void must(int status, const char* what) const { check(status >= 0, "{}: {}: {}", name, what, reason(status)); }

  double time() const { return static_cast<double>(frame->best_effort_timestamp) * tick; }

  void find(double seconds, double tolerance) {
    const bool ahead = has_frame && time() <= seconds + tolerance && time() >= seconds - read_on_s;
    if (!ahead) seek(seconds, tolerance);
    while (has_frame && time() < seconds - tolerance) read_next();
    check(has_frame && time() <= seconds + tolerance, "{}: no frame at {:.3f} s", name, seconds);
    const bool damaged = (frame->flags & AV_FRAME_FLAG_CORRUPT) != 0 || frame->decode_error_flags != 0;
    check(!damaged, "{}: the frame at {:.3f} s is damaged", name, seconds);
  }

  /// To a frame at or before the time. A file's index may lead to a key frame that is shown later, so it looks farther
  /// and farther back.
  void seek(double seconds, double tolerance) {
    for (double back = 0.0;; back = std::max(1.0, 2 * back)) {
      const auto from = std::max(0.0, seconds - back);
      must(av_seek_frame(format.get(), stream, std::llround(from / tick), AVSEEK_FLAG_BACKWARD), "cannot seek");
      avcodec_flush_buffers(decoder.get());
      at_end_of_file = false;
      read_next();
      if ((has_frame && time() <= seconds + tolerance) || from == 0.0) return;
    }
  }

  void read_next() {
    has_frame = false;
    for (;;) {
      const auto status = avcodec_receive_frame(decoder.get(), frame.get());
      if (status == AVERROR_EOF) return;
      if (status != AVERROR(EAGAIN)) {
        must(status, "cannot decode it");
        has_frame = true;
        return;
      }
      send_packet();
    }
  }

  void send_packet() {
    int status = at_end_of_file ? AVERROR_EOF : 0;
    while (status >= 0) {
      status = av_read_frame(format.get(), packet.get());
      if (status >= 0 && packet->stream_index == stream) break;
      av_packet_unref(packet.get());
    }
    at_end_of_file = status == AVERROR_EOF;
    if (!at_end_of_file) must(status, "cannot read it");
    status = avcodec_send_packet(decoder.get(), at_end_of_file ? nullptr : packet.get());
    av_packet_unref(packet.get());
    must(status, "cannot decode it");
  }

  Image rgb() {
    const auto source = static_cast<AVPixelFormat>(frame->format);
    const auto width = frame->width, height = frame->height;
    check(std::int64_t{width} * height <= most_pixels, "{}: a frame of {}x{} pixels", name, width, height);
    scaler.reset(sws_getCachedContext(scaler.release(), width, height, without_range(source), width, height,
                                      AV_PIX_FMT_RGB24, SWS_BILINEAR | SWS_ACCURATE_RND, nullptr, nullptr, nullptr));
    check(scaler != nullptr, "{}: cannot convert its pixels ({}) to RGB", name, av_get_pix_fmt_name(source));
    const bool full_range = frame->color_range == AVCOL_RANGE_JPEG || without_range(source) != source;
    const int* rgb_table = sws_getCoefficients(SWS_CS_DEFAULT);
    sws_setColorspaceDetails(scaler.get(), sws_getCoefficients(frame->colorspace), full_range, rgb_table, 1, 0, 1 << 16,
                             1 << 16);
    // swscale writes in vectors that may go beyond a row's end.
    constexpr int vector = 64;
    const int row_bytes = (3 * width + vector - 1) / vector * vector;
    std::vector<std::uint8_t> padded(static_cast<std::size_t>(row_bytes) * static_cast<std::size_t>(height) + vector);
    auto* rows = padded.data();
    must(sws_scale(scaler.get(), frame->data, frame->linesize, 0, height, &rows, &row_bytes),
         "cannot convert it to RGB");
    Image image{
        width, height,
        std::vector<std::uint8_t>(std::size_t{3} * static_cast<std::size_t>(width) * static_cast<std::size_t>(height))};
    const auto row = 3 * static_cast<std::size_t>(width);
    for (std::size_t y = 0; y < static_cast<std::size_t>(height); ++y) {
      std::memcpy(image.rgb.data() + y * row, rows + y * static_cast<std::size_t>(row_bytes), row);
    }
    return image;
  }
};

Video::Video(const std::filesystem::path& path) : state_(std::make_unique<State>(path)) {}

Video::~Video() = default;

Image Video::frame(double seconds, double tolerance) {
  state_->find(seconds, tolerance);
  return state_->rgb();
}

}  // namespace vlalign
