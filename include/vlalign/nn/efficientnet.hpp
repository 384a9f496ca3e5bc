#pragma once

#include <vector>

#include "vlalign/core/export.hpp"
#include "vlalign/nn/layers.hpp"
#include "vlalign/nn/tower.hpp"

namespace vlalign::nn {

class ConvThenNorm;

/// Inverted residual with squeeze and excitation (Tan and Le 2019); names as in transformers' modeling_align.py.
class VLALIGN_EXPORT MbConv : public torch::nn::Module {
 public:
  struct Options {
    std::int64_t in, out, kernel, stride, expand_ratio;
    double squeeze_ratio;
    bool residual;    ///< every block of a stage but its first
    bool asymmetric;  ///< a strided block pads one place less on the left and top
    double norm_eps, norm_momentum;
  };
  MbConv(const Options& options, Initializer& initializer);
  /// x: [B, in, H, W]; inference writes over it where the caller has moved it here.
  at::Tensor forward(at::Tensor x);
  std::int64_t width() const { return options_.out; }

 private:
  at::Tensor squeeze_and_excite(const at::Tensor& x) const;

  Options options_;
  std::shared_ptr<ConvThenNorm> expand_, depthwise_, project_;  ///< the first null without an expansion
  std::shared_ptr<Conv2d> reduce_, excite_;
};

/// EfficientNet B0 to B7 (Tan and Le 2019) as ALIGN's image tower: no convolution after the last block, average
/// pooling. No stochastic depth.
class VLALIGN_EXPORT EfficientNet : public Tower {
 public:
  EfficientNet(const EfficientNetConfig& config, Initializer& initializer);
  at::Tensor forward(const at::Tensor& pixels, at::ScalarType compute) override;
  Features features(const at::Tensor& pixels, at::ScalarType compute, std::span<const std::int64_t> layers) override;
  Features hooked_features(const at::Tensor& pixels, at::ScalarType compute, std::span<const std::int64_t> layers,
                           const LayerHook& hook) override;
  std::vector<std::int64_t> layer_widths() const override;
  std::int64_t width() const override { return width_; }
  std::int64_t group_count() const override;
  std::int64_t group_of(std::string_view name) const override;

 private:
  std::shared_ptr<ConvThenNorm> stem_;
  std::vector<std::shared_ptr<MbConv>> blocks_;
  std::int64_t width_, smallest_;  // channels; pixels a side
};

}  // namespace vlalign::nn
