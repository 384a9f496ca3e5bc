// The files of a model folder in either peer's layout.
#pragma once

#include <filesystem>
#include <memory>

#include "core/io/place.hpp"
#include "vlalign/config/model_config.hpp"
#include "vlalign/core/io/safetensors.hpp"
#include "vlalign/tokenizers/tokenizer.hpp"

namespace vlalign {

/// Whose files of a folder are taken: the first peer's, open_clip before Hugging Face, whose config and weights are
/// both there; else the one whose config is there.
Layout layout_of(const std::filesystem::path& folder);

/// The config file of that peer, open_clip_config.json or config.json. Throws Error when there is neither; says in a
/// line of the log which is taken where there are both.
std::filesystem::path config_file_of(const std::filesystem::path& folder);

/// Whether a model folder, either peer's or ours, may hold a file of this name.
bool is_model_file(const std::string& name);

/// A folder of such files alone, config and weights among them.
const Replaceable& replaceable_model();

/// Of a model that quantize() has prepared: DualEncoder::int8_columns().
constexpr auto int8_file = "int8.safetensors";

/// Where tensors came from, and them.
struct FolderTensors {
  std::string where;
  NamedTensors tensors;
};

/// All tensors of a folder: of that peer's open_clip_model.safetensors or model.safetensors, or of the shards that a
/// *.safetensors.index.json names; of the other's where it has none. A prefix "module." on all names is taken off, a
/// layer norm's gamma and beta become weight and bias, and what no model computes with (position ids, OpenAI's three
/// counts) is left out.
/// Throws Error when there are none; names the pickle that lies there instead, since none is ever read.
FolderTensors read_folder_tensors(const std::filesystem::path& folder);

/// The same of a whole model folder, which may be replaced meanwhile, and the peer whose names they have.
struct FolderWeights {
  Layout layout = Layout::open_clip;
  FolderTensors from;
};
FolderWeights read_folder_weights(const std::filesystem::path& folder);

/// Writes the weights' file. `tensors` are under the peer's names.
void write_weights(const std::filesystem::path& folder, Layout layout, const NamedTensors& tensors);

}  // namespace vlalign
