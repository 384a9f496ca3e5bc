#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string_view>

#include "vlalign/core/device.hpp"
#include "vlalign/core/export.hpp"
#include "vlalign/core/latency_histogram.hpp"
#include "vlalign/image/image_view.hpp"
#include "vlalign/vla/policy.hpp"

namespace vlalign::vla {

struct LivePolicyOptions {
  /// What act() does at a step whose state or action isn't finite.
  enum class OnBad {
    error,  ///< throws
    hold,   ///< gives the action of the step before again, and throws where there has been none since reset()
  };

  Precision precision = Precision::fp32;
  /// That each call may use, 1,024 at most; 0: as many as LibTorch is set to. What LibTorch is set to stays as it is,
  /// for the calling thread and all others.
  int threads = 0;
  /// Steps of a chunk that are acted out before the next frame is looked at, 1 to H.
  std::int64_t execute = 1;
  /// Looks at every frame and averages all that was predicted for a step; the m of TemporalEnsemble.
  std::optional<double> ensemble{};
  std::uint64_t seed = 0;  ///< of the noise of a head that draws some (flow matching)
  OnBad on_bad = OnBad::error;
  std::int64_t kept_instructions = 100;  ///< those told last, with all their tokens; at least 1
};

/// A policy in a control loop: a camera's frame and the robot's state in, an action out. One a robot, each used by one
/// thread at a time; several may share a Policy and act at once. The same frames and states since reset() give the same
/// actions to the bit, whatever happens beside them.
///
///     LivePolicy robot(Policy::load("runs/policy/model"), {.execute = 4});
///     robot.set_instruction("push the red block to the left");
///     robot.act(ImageView(pixels, 640, 480, ImageView::Format::bgr), state, action);  // at each step
///
/// Memory is kept from call to call: for frames of the size and format of those before only LibTorch's operators
/// allocate, and with the fusion "tiled_product" a few lists of its maps.
class VLALIGN_EXPORT LivePolicy {
 public:
  /// Puts the policy into evaluation mode, in which it then stays, for it is shared; a call puts it there again where
  /// something has set training mode meanwhile. Its weights may change, but not during a call: a change that LibTorch
  /// counts is followed at the next frame that is looked at, others when refresh() is called (see LiveEncoder).
  /// Throws Error for options that can't be and for weights that aren't finite.
  explicit LivePolicy(Policy policy, const LivePolicyOptions& options = {});
  ~LivePolicy();
  LivePolicy(LivePolicy&&) noexcept;
  LivePolicy& operator=(LivePolicy&&) noexcept;

  /// What to do from the next step on. Actions that are left of what was planned for another instruction are dropped. A
  /// text goes through its tower once and is kept, so that changing between several is cheap.
  /// Throws Error for a blank text, and then the instruction stays as it was.
  void set_instruction(std::string_view text);

  /// The action of this step.
  ///   state: S numbers in the demonstrations' units, none for a policy that isn't told the robot's state
  ///   action: A numbers, in the demonstrations' units, always finite
  /// Throws Error on other sizes, before the first set_instruction(), and as on_bad says. An Error leaves everything as
  /// it was before the call, `action` too; so does a step that is held, but for its action and held().
  void act(const ImageView& frame, std::span<const float> state, std::span<float> action);

  /// A new episode: forgets what was planned and what could be held, and counts steps from 0. The instruction stays.
  void reset();

  /// Takes up the weights as they are, as LiveEncoder::refresh() does, and forgets what was planned. Safe while others
  /// act with the same policy.
  void refresh();

  /// Steps that were held so far.
  std::int64_t held() const;

  /// Of the steps at which a frame was looked at: preprocessing; towers, fusion and head; both and all around them.
  struct Latency {
    LatencyHistogram preprocess, policy, whole;
  };
  const Latency& latency() const;
  void reset_latency();

 private:
  struct VLALIGN_HIDDEN State;
  std::unique_ptr<State> state_;
};

}  // namespace vlalign::vla
