#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include "vlalign/core/device.hpp"
#include "vlalign/core/export.hpp"
#include "vlalign/core/latency_histogram.hpp"
#include "vlalign/image/image_view.hpp"
#include "vlalign/model/dual_encoder.hpp"

namespace vlalign {

struct BatchEncoderOptions {
  /// What embed() does while as many wait as may.
  enum class WhenFull {
    wait,   ///< waits for a place
    error,  ///< throws
  };

  Precision precision = Precision::fp32;
  int threads = 0;        ///< that a batch may use, 1,024 at most; 0: as many as LibTorch is set to then
  std::int64_t most = 8;  ///< frames, or texts, of a batch; 1 to 4,096
  /// How long the first of a batch waits for others to come, at most a minute. A batch that is full doesn't wait, and
  /// while one is computed the next one gathers anyway.
  std::chrono::microseconds delay{2000};
  std::int64_t queue = 64;  ///< frames and texts that may wait, beside those that are computed; at least 1
  WhenFull when_full = WhenFull::wait;
  /// Computes every batch in one shape, as `most` frames, or `most` texts of the whole context length, however few
  /// there are. Products may round otherwise in other shapes; in one shape no embedding depends on how many came with
  /// it. For what it costs, and where it isn't needed, see docs/performance.md.
  bool one_shape = false;
  std::int64_t kept_texts = 1000;  ///< whose embeddings are kept: those asked for last; at least 1
};

/// A model that many threads ask at once: what they ask for within a short delay is computed as one batch, by a thread
/// of the encoder's own. Meant for a device that one frame leaves mostly idle; on a CPU a LiveEncoder that all use is
/// faster (docs/performance.md). A frame's embedding doesn't depend on what else is in its batch: to the bit with
/// one_shape (on a CPU where it has AVX-512), otherwise up to what the precision's sums round.
///
///     BatchEncoder encoder(DualEncoder::load("runs/mine/model"), {.most = 16, .delay = std::chrono::milliseconds(3)});
///     encoder.embed(ImageView(pixels, 640, 480, ImageView::Format::bgr), out);  // in each camera's thread
///
/// The model stays shared. Its weights may change inside update(), or while no call is under way; a change is followed
/// as LiveEncoder says.
class VLALIGN_EXPORT BatchEncoder {
 public:
  /// Puts the model into evaluation mode, in which it then stays, as LiveEncoder does. Throws Error for options that
  /// can't be and for weights that aren't finite.
  explicit BatchEncoder(DualEncoder model, const BatchEncoderOptions& options = {});
  /// Finishes the batch that is being computed; whoever waits still gets an Error. Returns when all calls that wait
  /// have.
  ~BatchEncoder();
  BatchEncoder(BatchEncoder&&) noexcept;
  BatchEncoder& operator=(BatchEncoder&&) noexcept;

  std::int64_t dim() const;  ///< D

  /// The frame's embedding, a unit vector; returns when it is there. The calling thread resizes and normalises.
  ///   out: D numbers
  /// Throws Error, and then has not written to `out`: for another size and an embedding that isn't finite, to this
  /// caller alone; when the queue is full and shall not be waited for; when the encoder is destroyed meanwhile; and
  /// what its batch failed of, to all who had something in it.
  void embed(const ImageView& frame, std::span<float> out) const;

  /// The text's embedding, a unit vector: computed when it is first asked for and kept.
  ///   text: UTF-8 that isn't blank
  ///   out: D numbers
  /// Throws Error as for frames.
  void embed(std::string_view text, std::span<float> out) const;

  /// Calls `change` between two batches and takes up the weights as they are then; calls that come meanwhile wait.
  /// It must not call this encoder. Throws what `change` throws, and Error for weights that aren't finite.
  ///
  ///     encoder.update([&] { model.load_weights("runs/mine/checkpoints/step-2000"); });
  void update(const std::function<void()>& change);

  /// Of all since the start, or since reset_statistics(). Texts that were kept are in none of it.
  struct Statistics {
    LatencyHistogram waiting;  ///< of each frame and text, until its batch was begun
    LatencyHistogram batch;    ///< of each batch, to compute it
    LatencyHistogram whole;    ///< of each call that gave an embedding out
    /// batches[n]: how many were computed of n frames or n texts, n from 0 to `most`.
    std::vector<std::int64_t> batches;
  };
  Statistics statistics() const;
  void reset_statistics();

 private:
  struct VLALIGN_HIDDEN State;
  std::unique_ptr<State> state_;
};

}  // namespace vlalign
