// A model's tensors under the peers' names.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "vlalign/config/model_config.hpp"
#include "vlalign/core/io/safetensors.hpp"
#include "vlalign/nn/tower.hpp"

namespace vlalign {

/// One change on the way from our names to a peer's: the first place of `ours` becomes `theirs`.
struct Rename {
  std::string_view ours, theirs;
};

/// Some of a tensor's equal parts, which a peer keeps under a name of their own.
struct Part {
  std::string_view name;      ///< in place of Fused::ours
  std::int64_t first, count;  ///< parts
};

/// A tensor of ours that a peer keeps in several: queries, keys and values, or a gated MLP's two halves.
struct Fused {
  std::string_view ours;  ///< in a renamed name
  std::int64_t count;     ///< equal parts of its rows
  std::vector<Part> parts;
};

/// How a peer names and lays out the tensors of one part of a model.
struct NamingScheme {
  std::string_view scope;         ///< our names that begin so
  std::vector<Rename> renames{};  ///< all that apply, in order
  std::vector<Fused> fused{};
  std::vector<std::string_view> transposed{};  ///< in our names: a matrix that the peer keeps the other way round
  /// In our names: a tensor to which the peer gives so many dimensions of size 1 in front.
  std::vector<std::pair<std::string_view, int>> leading_ones{};
  std::vector<std::pair<std::string_view, int>> trailing_ones{};  ///< the same behind: of a 1x1 convolution
  /// In our names: a square grid's rows [S * S, W], which the peer keeps as [S, S, W].
  std::vector<std::string_view> square_grids{};
};

using NamingSchemes = std::vector<NamingScheme>;
using Renames = std::vector<Rename>;

/// All of both, in order.
Renames operator+(Renames a, const Renames& b);

/// The schemes of a whole model, the first whose scope fits a name counting. Throws Error when that peer has no such
/// model.
NamingSchemes naming_schemes(const ModelConfig& config, Layout layout);

/// All parameters and buffers but adapters', detached, under the peer's names and in the peer's shape. Each is a view,
/// so that writing through it reaches the parameter. `instead` holds, by our names, what stands for a parameter;
/// `prefix` stands before our names.
NamedTensors peer_tensors(const torch::nn::Module& module, const NamingSchemes& schemes,
                          const NamedTensors& instead = {}, const std::string& prefix = "");

/// The weights that have an adapter, with it merged in, by our names.
NamedTensors merged_weights(const torch::nn::Module& module);

/// Copies tensors into the views of the same names. `where` is what an error calls their source.
/// Throws one Error that lists every missing, extra or wrongly shaped tensor, and then has changed nothing.
void assign_tensors(const NamedTensors& wanted, const NamedTensors& tensors, const std::string& where);

/// Which tower's position embeddings may be resized: where a user asks for another size than the folder's config says.
/// Elsewhere config and weights disagree, which is an Error, or a warning where the folder's peer resizes them too.
struct Resizing {
  bool image = true, text = true;
  bool as_peer = false;
};

/// The same for a whole model under the names of the peer of `layout`, position embeddings resized. The tensors of a
/// decoder that the config has are passed over.
void assign_model(const torch::nn::Module& module, const ModelConfig& config, Layout layout,
                  const NamedTensors& tensors, const std::string& where, const Resizing& resizing = {});

}  // namespace vlalign
