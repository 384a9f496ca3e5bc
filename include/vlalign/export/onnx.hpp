#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <vector>

#include "vlalign/core/export.hpp"
#include "vlalign/model/dual_encoder.hpp"
#include "vlalign/vla/policy.hpp"

namespace vlalign {

/// What exported graphs take and give.
struct OnnxOptions {
  /// Pixels are uint8 [B, 3, S, S] and normalised in the graph; otherwise they are float32 and already normalised
  /// ((pixels / 255 - mean) / std).
  bool normalize = false;
  bool raw = false;                    ///< embeddings as the projection gives them, not of unit length
  bool tokens = false;                 ///< also the patches' or words' features (Features::tokens), and the text's mask
  std::vector<std::int64_t> layers{};  ///< also these layers' outputs (Features::hidden), negative from the end
  /// The only length of texts that the graph takes, padded with the tokenizer's pad_id; any up to the context length
  /// without it.
  std::optional<std::int64_t> text_length{};
  /// fp32, or int8 of a model that quantize() has prepared: products that it computes in bytes have pairs of
  /// QuantizeLinear and DequantizeLinear around them, from which engines make such products, and weights of a byte.
  Precision precision = Precision::fp32;
  bool preprocess = false;  ///< also preprocess.onnx, of opset 18, from a picture of any size to normalised pixels
  /// Weights of more bytes than this lie in a file beside their graph (image.onnx.data). ONNX ends at 2 GB; a graph
  /// that is opened and shown by tools should be smaller.
  std::int64_t external_above = std::int64_t{1} << 30;
};

/// Writes a model as ONNX graphs (opset 17) for ONNX Runtime, OpenVINO, TensorRT and others:
///
///     export_onnx(DualEncoder::load("runs/mine/model"), "onnx", {.normalize = true});
///
/// image.onnx: pixels [B, 3, S, S] to embedding [B, D]; text.onnx: tokens int64 [B, L] to embedding [B, D]; the
/// tokenizer's files; export.json, which says what a caller has to know (sizes, mean and std, the logit scale), as each
/// graph's metadata does. B is any number. The folder is made beside its place and put there in one step.
///
/// What a tower computes is recorded by LibTorch's tracer, at several batch sizes and lengths, so that a tower of one's
/// own is exported too. Throws Error, and then has written nothing, naming an operator that isn't known, a size that
/// follows the batch in no simple way, or numbers that the tower computes where the tracer doesn't see it; and for a
/// folder that holds anything but an earlier export.
VLALIGN_EXPORT void export_onnx(const DualEncoder& model, const std::filesystem::path& folder,
                                const OnnxOptions& options = {});

/// The same of a policy; options.raw, tokens and layers are not for it, and are an Error. policy.onnx: pixels, tokens
/// and state [B, S] (where it has one) to actions [B, H, A] in the demonstrations' units. Of a head that matches flows
/// two graphs: policy_features.onnx gives features [B, W], and policy_step.onnx makes one Euler step from x [B, H, A]
/// at time [B]: to `next`, and `actions`, which are those of `next` in the demonstrations' units. x is N(0, 1) at time
/// 1; as many steps as export.json says follow each other, at times 1, 1 - 1 / steps, ..., 1 / steps.
VLALIGN_EXPORT void export_onnx(const vla::Policy& policy, const std::filesystem::path& folder,
                                const OnnxOptions& options = {});

}  // namespace vlalign
