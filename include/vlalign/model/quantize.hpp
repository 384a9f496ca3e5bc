#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <string>
#include <vector>

#include "vlalign/core/export.hpp"
#include "vlalign/model/dual_encoder.hpp"

namespace vlalign {

struct QuantizeOptions {
  /// The least mean cosine between a tower's embeddings in int8 and in float32. Products stay in floats, those with the
  /// largest error first, until both towers have it; 0 to 1.
  double cosine = 0.995;
  std::int64_t batch_size = 32;  ///< rows that are computed at once; at least 1
};

/// A product x W^T of a tower.
struct QuantizedProduct {
  std::string name;  ///< of the layer, such as "visual.transformer.resblocks.0.mlp.c_fc"
  double error;      ///< |y - y'|^2 / |y|^2 of what it gives on rows of the calibration, y' in int8
  bool int8;         ///< false: it stays in floats
};

struct QuantizeResult {
  std::vector<QuantizedProduct> products;  ///< in the order of the layers
  double image_cosine, text_cosine;        ///< mean, between int8 and float32, of the rows that are held out
};

/// Prepares a model for Precision::int8. Weights stay as they are: what is measured and kept, as
/// DualEncoder::int8_columns(), is how the columns of each product's input become bytes, each with a range of its own
/// around a centre of its own. How far the differences between columns go into the weight is chosen for each product by
/// its error (SmoothQuant's migration strength; Xiao et al. 2023), and so is a cut of the largest values.
/// Products whose sizes don't fit bytes (rows not a multiple of 32, columns not of 4), convolutions, norms, softmax and
/// embeddings stay in floats, and so does a product of rows [B, K], such as the last projection. Ranges are measured
/// with three of four rows, cosines with the others; with all where there are fewer than eight.
///   pixels: as for DualEncoder::encode_image, of a few hundred pictures; tokens: of as many texts
/// Not during a call of the model. Throws Error for a model that isn't on a CPU, for embeddings that aren't finite and,
/// as DualEncoder::encode_image does, for other arguments; then the model is as it was. Its embeddings in other
/// precisions stay the same to the bit.
VLALIGN_EXPORT QuantizeResult quantize(DualEncoder model, const at::Tensor& pixels, const at::Tensor& tokens,
                                       const QuantizeOptions& options = {});

}  // namespace vlalign
