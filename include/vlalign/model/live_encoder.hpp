#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string_view>

#include "vlalign/core/device.hpp"
#include "vlalign/core/export.hpp"
#include "vlalign/image/image_view.hpp"
#include "vlalign/model/dual_encoder.hpp"

namespace vlalign {

struct LiveEncoderOptions {
  Precision precision = Precision::fp32;
  /// That each call may use, 1,024 at most; 0: as many as LibTorch is set to. What LibTorch is set to stays as it is,
  /// for the calling thread and all others.
  int threads = 0;
  std::int64_t kept_texts = 1000;  ///< whose embeddings are kept: those asked for last; at least 1
};

/// A model in a control loop: a camera's frame in, its embedding out, without gradients. Weights are cast and laid out
/// for the processor once, at the start. Several threads may call it at once. Memory is kept from call to call: for
/// frames of the size and format of those before, only LibTorch's operators allocate.
///
/// The model stays shared and its weights may change, but not during a call. A change that LibTorch counts, as a step
/// of a Trainer, load_weights() and every operator that writes to a parameter are, is followed at the next call, in
/// texts that are kept too. One that it doesn't count, as w.data().mul_(0.5), a fused optimizer's and a copy to the
/// weights' memory are, leaves what was laid out as it was: call refresh() behind it.
class VLALIGN_EXPORT LiveEncoder {
 public:
  /// Puts the model into evaluation mode, in which it then stays, for it is shared: training it on by hand needs
  /// model.train(); the trainers see to that at each step. A call puts it there again where something has set training
  /// mode meanwhile. Throws Error for options that can't be and for weights that aren't finite.
  explicit LiveEncoder(DualEncoder model, const LiveEncoderOptions& options = {});
  ~LiveEncoder();
  LiveEncoder(LiveEncoder&&) noexcept;
  LiveEncoder& operator=(LiveEncoder&&) noexcept;

  std::int64_t dim() const;  ///< D

  /// The frame's embedding, a unit vector.
  ///   out: D numbers
  /// Throws Error on another size, and for an embedding that isn't finite, and then has not written to `out`.
  void embed(const ImageView& frame, std::span<float> out) const;

  /// The text's embedding, a unit vector: computed when it is first asked for and kept.
  ///   text: UTF-8 that isn't blank
  ///   out: D numbers
  /// Throws Error as for frames.
  void embed(std::string_view text, std::span<float> out) const;

  /// Takes up the weights as they are: what was laid out for the processor and all kept texts are made again at the
  /// next call. Safe beside embed(): calls that have begun end with either weights, those that begin behind it have the
  /// new. LibTorch sees a change of each weight, so not between a forward pass with gradients and its backward pass.
  /// Throws Error for weights that aren't finite.
  void refresh();

 private:
  struct VLALIGN_HIDDEN State;
  std::unique_ptr<State> state_;
};

}  // namespace vlalign
