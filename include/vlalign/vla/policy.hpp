#pragma once

#include <ATen/core/Tensor.h>
#include <c10/core/Device.h>

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "vlalign/core/device.hpp"
#include "vlalign/core/export.hpp"
#include "vlalign/data/loading/episode_loader.hpp"
#include "vlalign/model/dual_encoder.hpp"
#include "vlalign/model/image_tower.hpp"
#include "vlalign/vla/action_shape.hpp"
#include "vlalign/vla/part_options.hpp"

namespace torch::nn {
class Module;
}

namespace vlalign::vla {

class Fusion;      // <vlalign/vla/fusion/...>
class ActionHead;  // <vlalign/vla/head/...>

/// A phrase that names an action ("move left and down"), and what is done then.
struct ActionPhrase {
  std::string text;
  std::vector<float> actions;  ///< [H, A] row by row, in the demonstrations' units
};

/// How a policy is put together. Sizes are 16,384 at most and numbers finite.
struct PolicyConfig {
  std::string fusion = "text_queries";  ///< one of make_fusion()'s
  std::string head = "l1";              ///< one of make_head()'s
  PartOptions fusion_options{}, head_options{};
  ActionShape actions{};
  std::int64_t state = 0;              ///< S; 0 for a policy that isn't told the robot's state
  std::int64_t width = 256;            ///< D, of the fused tokens
  std::vector<std::int64_t> maps{-1};  ///< layers of the image tower that a fusion of maps reads
  std::vector<std::int64_t> film{};    ///< layers of the image tower behind which FiLM of the instruction acts
  /// Visual tokens and maps count as much as the words fit their place in the joint space, where tokens of both towers
  /// share it: N softmax_n(s cos(mean word, v_n)), s learned from 20 on. Late fusions then read the mean of tokens so
  /// weighted in place of the image's embedding. For towers that were aligned by words and patches (FILIP); with others
  /// it makes learning slower.
  bool weighted = false;
  std::vector<ActionPhrase> phrases{};  ///< the bank of the head "retrieval", which embeds them when it is made
  /// [S], std above 0; the policy works on (state - mean) / std. Empty: 0 and 1
  std::vector<float> state_mean{}, state_std{};
  std::vector<float> action_low{}, action_high{};  ///< [A], low below high: -1 and 1 in the head. Empty: -1 and 1
  /// Looks at the same frames beside the encoder's image tower and stays as it is; what it gives of each place is
  /// joined to the encoder's patch token there (OpenVLA, Kim et al. 2024: DINOv2 beside SigLIP). Both must see as many
  /// places: load it in the image size that gives them.
  std::optional<ImageTower> second_tower{};
  std::int64_t second_layer = -2;  ///< whose outputs are joined, before any final norm; the last but one as in OpenVLA
};

/// As policy.json holds it.
VLALIGN_EXPORT std::string to_json(const PolicyConfig& config);

/// From a frame, an instruction and the robot's state to a chunk of actions: the towers of a DualEncoder, a fusion of
/// what they give, an action head. A handle: copies share the weights, the encoder among them.
///
///     auto policy = vla::Policy::create(encoder, {.fusion = "text_queries", .head = "l1", .actions = {8, 4}});
///     PolicyTrainer(policy, {.learning_rate = 3e-4, .out = "runs/policy"}).fit(open_episodes("demos-{00..03}.tar"));
class VLALIGN_EXPORT Policy {
 public:
  /// Throws Error naming the field for a configuration that can't work with these towers.
  static Policy create(DualEncoder encoder, const PolicyConfig& config, std::uint64_t seed = 0);

  /// From parts of one's own; fusion and head of the configuration are names alone. Such a policy is read back by
  /// making it again and load_weights(). Throws Error naming what disagrees between the parts, the towers and the
  /// configuration's sizes.
  Policy(DualEncoder encoder, std::shared_ptr<Fusion> fusion, std::shared_ptr<ActionHead> head,
         const PolicyConfig& config, std::uint64_t seed = 0);

  /// Reads what save() wrote: policy.json, policy.safetensors, the encoder's model folder encoder/ and, where there is
  /// one, the second tower's second_tower/. Throws Error naming file and key or tensor, for numbers that aren't finite
  /// too.
  static Policy load(const std::filesystem::path& folder);
  /// Replaces an empty folder or a policy's own; throws Error for anything else at that place, and leaves it alone.
  void save(const std::filesystem::path& folder) const;
  /// The same files into a folder that is there, for callers that make it whole themselves.
  void write(const std::filesystem::path& folder) const;
  /// Copies the weights of such a folder into this policy, of the same shapes. Throws Error, and then changes nothing.
  void load_weights(const std::filesystem::path& folder);

  /// The head's loss over the batch, a scalar [] with a graph; of the batch it reads pixels, tokens, state (undefined
  /// for a policy without), actions and mask. generator: for heads that draw noise, see ActionHead. Throws Error naming
  /// the field that is of another shape or dtype than the policy's, and the row of a state or of actions that count
  /// which isn't finite. A batch on a GPU isn't waited for: there the loss of such a row is NaN.
  at::Tensor loss(const EpisodeBatch& batch, Precision precision = Precision::fp32,
                  const at::Generator& generator = {}) const {
    return loss_of_all(batch, precision, generator, [](const HeadBatch& rows) { return rows; });
  }

  /// What the head learns from: features [B, width] of each sample with their graph, actions float32 [B, H, A] as the
  /// head has them, and the batch's mask.
  struct HeadBatch {
    at::Tensor features, actions, mask;
  };
  /// The loss of a batch that several processes hold parts of: `join` makes all rows of this process's, with their
  /// gradient, and the head sees them all.
  at::Tensor loss_of_all(const EpisodeBatch& batch, Precision precision, const at::Generator& generator,
                         const std::function<HeadBatch(const HeadBatch&)>& join) const;

  /// What the text tower makes of instructions, to be kept as long as they stand. tokens: int64 [B, L].
  Features read(const at::Tensor& tokens, Precision precision = Precision::fp32) const;
  /// pixels: uint8 [B, 3, S, S], or floating and already normalised; instruction: read()'s of B or of one for all;
  /// state: float32 [B, S].
  /// Returns the actions in the demonstrations' units, float32 [B, H, A], without a graph and finite; on a GPU when
  /// they are there. Throws Error as loss() does, and for actions that aren't finite.
  at::Tensor act(const at::Tensor& pixels, const Features& instruction, const at::Tensor& state = {},
                 Precision precision = Precision::fp32, const at::Generator& generator = {}) const;

  void train(bool on = true);
  void to(c10::Device device);
  c10::Device device() const;

  const PolicyConfig& config() const;
  DualEncoder encoder() const;
  /// With the children encoder, fusion, head and, where the configuration has them, film and second_tower.
  std::shared_ptr<torch::nn::Module> module() const;

 private:
  struct VLALIGN_HIDDEN State;
  explicit Policy(std::shared_ptr<State> state);
  std::shared_ptr<State> state_;
};

}  // namespace vlalign::vla
