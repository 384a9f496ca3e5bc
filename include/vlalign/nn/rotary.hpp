#pragma once

#include <mutex>

#include "vlalign/config/model_config.hpp"
#include "vlalign/core/export.hpp"
#include "vlalign/nn/layers.hpp"

namespace vlalign::nn {

/// By how much each place turns a head's pairs of channels (Su et al. 2021, "RoFormer").
struct VLALIGN_EXPORT Rotation {
  Tensor cosines, sines;  ///< [L, d] or [B, 1, L, d], float32; undefined: nothing turns
  bool halves = false;    ///< channel i is paired with i + d / 2; else 2i with 2i + 1

  bool defined() const { return cosines.defined(); }
  /// The one of place index[b] for each sequence. index: int64 [B]
  Rotation at(const Tensor& index) const;
  /// Those of places index[b] [B, L'], which differ by sequence. index: int64
  Rotation of(const Tensor& index) const;
  Rotation to(c10::Device device) const;
  /// With so many places in front that don't turn.
  Rotation behind(std::int64_t places) const;
};

/// x: [B, H, L, d]; computed in float32, in x's dtype. Returns x as it is where the rotation is undefined.
VLALIGN_EXPORT Tensor rotated(const Tensor& x, const Rotation& rotation);

/// Of a grid's patches, row by row. width: of a head, a multiple of 4.
VLALIGN_EXPORT Rotation grid_rotation(const RotaryConfig& config, std::int64_t rows, std::int64_t columns,
                                      std::int64_t width);

/// grid_rotation() behind `prefix` places that don't turn, kept until another grid or device is asked for. For one
/// config, width and prefix; safe to call from several threads.
class VLALIGN_EXPORT KeptGridRotation {
 public:
  Rotation operator()(const RotaryConfig& config, std::int64_t rows, std::int64_t columns, std::int64_t width,
                      std::int64_t prefix, c10::Device device) const;

 private:
  mutable std::mutex mutex_;
  mutable Rotation kept_;
  mutable std::int64_t rows_ = 0, columns_ = 0;
};

/// Of the places 0 to length - 1 of a text: angle place * temperature^(-2i / width) of the pair (2i, 2i + 1).
VLALIGN_EXPORT Rotation line_rotation(double temperature, std::int64_t length, std::int64_t width);

}  // namespace vlalign::nn
