#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string_view>

#include "vlalign/core/device.hpp"
#include "vlalign/data/image_view.hpp"
#include "vlalign/model/dual_encoder.hpp"

namespace vlalign {

struct LiveEncoderOptions {
  Precision precision = Precision::fp32;
  /// That each call may use; 0: as many as LibTorch is set to. What LibTorch is set to stays as it is, for the calling
  /// thread and all others.
  int threads = 0;
};

/// A model in a control loop: a camera's frame in, its embedding out, without gradients. Weights are cast and laid out
/// for the processor once, at the start. Several threads may call it at once. Memory is kept from call to call: for
/// frames of the size and format of those before, only LibTorch's operators allocate.
class LiveEncoder {
 public:
  /// The model goes into evaluation mode and stays shared: a change of its weights is followed at the next call, but
  /// must not happen during one.
  explicit LiveEncoder(DualEncoder model, const LiveEncoderOptions& options = {});
  ~LiveEncoder();
  LiveEncoder(LiveEncoder&&) noexcept;
  LiveEncoder& operator=(LiveEncoder&&) noexcept;

  std::int64_t dim() const;  ///< D

  /// The frame's embedding, a unit vector.
  ///   out: D numbers
  void embed(const ImageView& frame, std::span<float> out) const;

  /// The text's embedding, a unit vector [D]: computed at the first call and kept, so it stays where it is for the
  /// encoder's lifetime.
  std::span<const float> embed(std::string_view text) const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace vlalign
