#pragma once

#include <ATen/core/Tensor.h>
#include <c10/core/Device.h>

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "vlalign/config/features.hpp"
#include "vlalign/config/model_config.hpp"
#include "vlalign/core/device.hpp"
#include "vlalign/core/export.hpp"
#include "vlalign/core/io/safetensors.hpp"
#include "vlalign/tokenizers/tokenizer.hpp"

namespace vlalign {

namespace nn {
class DualEncoderImpl;  // <vlalign/nn/dual_encoder.hpp>, for those who build on the towers as torch::nn modules
}

/// What shall be other than the folder says. Position embeddings are resized to other sizes.
struct LoadOptions {
  std::optional<int> image_size{};
  std::optional<std::int64_t> context_length{};
  std::optional<PixelsAs> pixels_as{};
  /// What the logit bias starts from, where the folder's model has none: for losses that learn one (SigmoidLoss).
  std::optional<double> logit_bias{};
};

/// Two towers into one joint space: images and texts become unit vectors whose dot product says how well they match
/// (CLIP, Radford et al. 2021). A handle: copies share the weights.
class VLALIGN_EXPORT DualEncoder {
 public:
  /// A freshly initialised model: a preset's name, or the path of an open_clip model config (.json). CoCa's comes
  /// without its text decoder: a CLIP model with CoCa's towers.
  /// The same seed gives the same weights. `tokenizer` replaces CLIP's, and its vocabulary size the config's.
  /// Throws Error naming the field that no model can be made of, and for weights that alone are more than the machine's
  /// memory.
  static DualEncoder create(std::string_view model, std::shared_ptr<const Tokenizer> tokenizer = nullptr,
                            std::uint64_t seed = 0);
  static DualEncoder create(const ModelConfig& config, std::shared_ptr<const Tokenizer> tokenizer = nullptr,
                            std::uint64_t seed = 0);

  /// Reads a model folder in open_clip's or Hugging Face's layout. Activation, preprocessing and tokenizer are the
  /// folder's own; a choice it leaves open is named in a warning.
  /// Throws one Error that lists every missing, extra or wrongly shaped tensor, and one that names the first that holds
  /// a NaN or an infinity.
  static DualEncoder load(const std::filesystem::path& folder, const LoadOptions& options = {});

  /// A model of one's own towers (config.vision = OwnTowers{}); see <vlalign/nn/dual_encoder.hpp>. Throws Error naming
  /// a number of the config that isn't the module's: embed_dim, and for towers of this library image size, context
  /// length and vocabulary. The config's decoder is left out; keep_decoder() adds one.
  DualEncoder(std::shared_ptr<nn::DualEncoderImpl> module, ModelConfig config,
              std::shared_ptr<const Tokenizer> tokenizer);

  /// Copies the weights of a model folder into this model, of the same shapes. Throws as load() does, and where the
  /// folder's model has other heads, activations or the like, which no shape shows; then changes nothing.
  void load_weights(const std::filesystem::path& folder);

  /// Copies one tower's weights alone, of the same shapes: the image tower from what read_image_config() reads, the
  /// text tower from a folder that read_text_config() reads, either from a whole model folder. Half a model's
  /// projection is copied with it where the model has one of that shape. Throws as load_weights() does.
  void load_image_tower(const std::filesystem::path& path);
  void load_text_tower(const std::filesystem::path& folder);

  /// Which peer's layout save() writes. Throws Error when that layout can't hold the model, naming the first field that
  /// would be lost.
  void set_layout(Layout layout);

  /// Writes the folder that load() and the peer of config().layout read: made beside its place, synced, and put there
  /// in one step. Replaces an empty folder or a model folder in which every file is known; throws Error for anything
  /// else at that place, and leaves it alone.
  /// Throws Error, and then has replaced nothing, naming the first tensor that holds a NaN or an infinity, or the first
  /// field that load() would give otherwise: the configs and the tokenizer's files are read back before the weights are
  /// written.
  void save(const std::filesystem::path& folder) const;
  /// The same files into a folder that is there, for callers that make it whole themselves.
  void write(const std::filesystem::path& folder) const;

  /// Gradients flow unless switched off (at::NoGradGuard); arguments are moved to the model's device. Throw Error
  /// naming the argument that is missing, empty (B or L is 0), of another dtype or shape, or holds an id that the text
  /// tower has no row for; the last is seen in tensors on a CPU alone, since a GPU would have to be waited for. With
  /// Precision::int8 no gradients flow, and a model that has no int8_columns() or isn't on a CPU is an Error.
  ///
  /// pixels: uint8 [B, 3, S, S], or of any floating dtype and already normalised; S is the config's image size, of
  /// which only ResNetConfig's and EfficientNetConfig's towers take others. Returns unit rows, float32 [B, D].
  at::Tensor encode_image(const at::Tensor& pixels, Precision precision = Precision::fp32) const;
  /// tokens: int64 [B, L], L <= context length, as tokenize() makes them. Returns unit rows, float32 [B, D].
  at::Tensor encode_text(const at::Tensor& tokens, Precision precision = Precision::fp32) const;
  /// The embeddings with what the towers give on the way: tokens or map, mask, and the hidden states of `layers`
  /// (counted from 0; negative ones from the end).
  Features image_features(const at::Tensor& pixels, std::span<const std::int64_t> layers = {},
                          Precision precision = Precision::fp32) const;
  Features text_features(const at::Tensor& tokens, std::span<const std::int64_t> layers = {},
                         Precision precision = Precision::fp32) const;
  /// The multiplier of the cosines, exp of the learned parameter: float32 scalar [], on the model's device.
  at::Tensor logit_scale() const;
  std::int64_t parameter_count() const;

  /// CoCa's text decoder, which writes captions: what load() found of it, under open_clip's names. It is written back
  /// by save() bit for bit, and is neither computed with nor trained; empty in other models.
  const NamedTensors& decoder() const;
  /// Keeps these tensors in its place. config: as ModelConfig::decoder, empty where there are none.
  void keep_decoder(std::string config, NamedTensors tensors);

  /// What Precision::int8 needs, as quantize() measures it: for each product "NAME.scale" and "NAME.centre", float32
  /// [K], which say how the columns of its input become bytes: round(x * scale - centre). save() writes them to
  /// int8.safetensors, which load() reads. Empty in other models.
  const NamedTensors& int8_columns() const;
  /// Sets them; empty: none. LibTorch sees a change of each weight. Not during a call of the model, nor between a
  /// forward pass with gradients and its backward pass. Other weights take a model its columns: training does, with a
  /// warning, and so does loading those of a folder that has none. Throws Error naming a product that the model doesn't
  /// have, a tensor that is missing or not as said, or a scale that isn't above 0, and then changes nothing.
  void set_int8_columns(NamedTensors columns);

  void train(bool on = true);
  /// Whether Transformers keep only their blocks' inputs for the backward pass and compute the rest again: far less
  /// memory for about a third more time, and the same gradients.
  void checkpoint_activations(bool on = true);
  void to(c10::Device device);
  c10::Device device() const;

  const ModelConfig& config() const;
  std::shared_ptr<const Tokenizer> tokenizer() const;
  std::shared_ptr<nn::DualEncoderImpl> module() const;

 private:
  struct VLALIGN_HIDDEN State;
  std::shared_ptr<State> state_;
};

}  // namespace vlalign
