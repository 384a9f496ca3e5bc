#pragma once

#include <ATen/core/Tensor.h>
#include <c10/core/Device.h>

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>

#include "vlalign/config/features.hpp"
#include "vlalign/core/device.hpp"
#include "vlalign/core/export.hpp"
#include "vlalign/model/peers/read_config.hpp"

namespace vlalign {

namespace nn {
class Tower;  // <vlalign/nn/tower.hpp>
}

/// An image tower that stands alone and isn't trained: what was learned without texts (DINOv2, R3M, Theia), to look
/// with beside a DualEncoder or by itself. A handle: copies share the weights.
///
///     const auto dino = ImageTower::load("dinov2-base");
///     const auto patches = dino.features(pixels).tokens;  // [B, 256, 768]
class VLALIGN_EXPORT ImageTower {
 public:
  /// Reads what read_image_config() reads, or a folder that write() filled. image_size: pixels a side, where they shall
  /// be others than the files say; position embeddings are resized to them. Throws Error naming file and key or tensor,
  /// and a size that the tower can't take.
  static ImageTower load(const std::filesystem::path& path, std::optional<int> image_size = {});

  /// Writes it into a folder that is there as its peer names things: the config as it was found, and the weights.
  void write(const std::filesystem::path& folder) const;

  /// What the tower gives, in evaluation mode and without a graph; `embedding` stays undefined.
  ///   pixels: uint8 [B, 3, S, S], or of any floating dtype and already normalised as config().preprocess says
  ///   layers: whose outputs go to `hidden`, counted from 0; negative ones from the end
  /// Throws Error for another shape and for a layer that isn't there.
  Features features(const at::Tensor& pixels, std::span<const std::int64_t> layers = {},
                    Precision precision = Precision::fp32) const;

  const ImageTowerConfig& config() const;
  void to(c10::Device device);
  c10::Device device() const;
  std::shared_ptr<nn::Tower> module() const;

 private:
  struct VLALIGN_HIDDEN State;
  explicit ImageTower(std::shared_ptr<State> state);
  std::shared_ptr<State> state_;
};

}  // namespace vlalign
