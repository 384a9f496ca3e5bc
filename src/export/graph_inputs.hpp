// What graphs are recorded with. Internal.
#pragma once

#include "export/traced_graph.hpp"
#include "vlalign/export/onnx.hpp"

namespace vlalign::onnx {

/// Pixels of that many rows at random: uint8 where the graph normalises, else float32.
NamedInput random_pixels(const DualEncoder& model, const OnnxOptions& options, const Extent& extent);

/// Texts at random, with an end and padding behind it.
NamedInput random_tokens(const DualEncoder& model, const Extent& extent);

/// N(0, 1) of that shape.
NamedInput random_numbers(std::string name, at::IntArrayRef shape, const Extent& extent, c10::Device device);

/// (pixels / 255 - mean) / std of bytes, in the order in which normalize_pixels() works; other pixels as they are.
std::function<at::Tensor(const at::Tensor&)> normalizer(const DualEncoder& model);

}  // namespace vlalign::onnx
