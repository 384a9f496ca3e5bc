// A policy as a torch::nn module. Internal.
#pragma once

#include "vla/second_view.hpp"
#include "vlalign/nn/dual_encoder.hpp"
#include "vlalign/vla/fusion/film.hpp"
#include "vlalign/vla/fusion/fusion.hpp"
#include "vlalign/vla/head/action_head.hpp"
#include "vlalign/vla/policy.hpp"

namespace vlalign::vla {

/// What the towers give a fusion, found out on one pair.
struct TowerWidths {
  std::int64_t visual_tokens, places, text_tokens, embedding;
  std::int64_t second;  ///< channels that the second tower adds to a visual token, 0 without
  std::int64_t joint;   ///< of the encoder's tokens too, 0 where a projection doesn't take them
  std::vector<std::int64_t> maps;
};
/// Throws Error for a second tower that doesn't go with the encoder. Maps are of config.maps; a tower without layers
/// has none.
TowerWidths tower_widths(const DualEncoder& encoder, const PolicyConfig& config);

class PolicyModule : public torch::nn::Module {
 public:
  PolicyModule(const DualEncoder& towers, std::shared_ptr<Fusion> fusion, std::shared_ptr<ActionHead> head,
               const PolicyConfig& config, const TowerWidths& widths, nn::Initializer& initializer);

  /// The second tower stays in evaluation mode.
  void train(bool on = true) override;

  /// [B, D]. pixels: normalised [B, 3, S, S]; text: of B or of 1; state: [B, S] in the demonstrations' units.
  Tensor features(const Tensor& pixels, const Features& text, const Tensor& state, at::ScalarType compute);
  /// [B, H, A], float32 in the demonstrations' units; NaN where no action could be told.
  Tensor act(const Tensor& pixels, const Features& text, const Tensor& state, at::ScalarType compute,
             const at::Generator& generator);
  /// Demonstrations' units to what the head works in, -1 to 1, and back. actions: [B, H, A].
  Tensor to_head(const Tensor& actions) const { return (actions - action_low) * (2 / action_range) - 1; }
  Tensor from_head(const Tensor& actions) const { return (actions + 1) * (action_range / 2) + action_low; }

  std::shared_ptr<nn::DualEncoderImpl> encoder;
  std::shared_ptr<Fusion> fusion;
  std::shared_ptr<ActionHead> head;
  std::shared_ptr<Film> film;          ///< null without
  std::shared_ptr<SecondView> second;  ///< null without
  Tensor positions;                    ///< [N, Dv], added to the visual tokens; undefined where none are read
  Tensor weight_log_scale;             ///< [], of the visual tokens' weights; undefined without
  Tensor state_mean, state_std, action_low, action_range;  ///< buffers [S], [S], [A], [A]

 private:
  std::vector<std::int64_t> map_layers_;
  std::int64_t embedding_;  // D of the instruction's embedding
};

}  // namespace vlalign::vla
