#include "model_folder.hpp"

#include <algorithm>
#include <array>
#include <set>

#include "core/check.hpp"
#include "core/exists.hpp"
#include "core/files.hpp"
#include "core/parse_json.hpp"
#include "json_section.hpp"

namespace vlalign {
namespace {

namespace fs = std::filesystem;

constexpr auto open_clip_config = "open_clip_config.json";
constexpr auto hugging_face_config = "config.json";
constexpr std::array weights_files{"open_clip_model.safetensors", "model.safetensors"};

bool is_no_weight(const std::string& name) {
  const bool count = name == "input_resolution" || name == "context_length" || name == "vocab_size";
  return count || name.ends_with(".position_ids") || name == "attn_mask" || name.ends_with(".attn_mask");
}

NamedTensors tidy(const NamedTensors& tensors) {
  constexpr std::string_view wrapper = "module.";  // of a model that was saved wrapped for several processes
  const bool wrapped = !tensors.empty() && std::all_of(tensors.begin(), tensors.end(), [&](const auto& entry) {
    return entry.first.starts_with(wrapper);
  });
  NamedTensors tidied;
  for (const auto& [name, tensor] : tensors) {
    const auto plain = wrapped ? name.substr(wrapper.size()) : name;
    if (!is_no_weight(plain)) tidied.emplace(plain, tensor);
  }
  return tidied;
}

NamedTensors read_shards(const fs::path& index) {
  const auto root = parse_json(read_file(index), index.string());
  const auto file_of = JsonSection(root, index.string()).require<std::map<std::string, std::string>>("weight_map");
  check(!file_of.empty(), "{}: weight_map names no tensor", index.string());
  std::set<std::string> files;
  for (const auto& [name, file] : file_of) {
    check(!file.empty() && fs::path(file).filename() == file, "{}: \"{}\" is not the name of a file beside it",
          index.string(), file);
    files.insert(file);
  }
  NamedTensors all;
  for (const auto& file : files) {
    for (const auto& [name, tensor] : read_safetensors(index.parent_path() / file).tensors) {
      const auto found = file_of.find(name);
      check(found != file_of.end() && found->second == file, "{}: {} holds {}, which the index does not place there",
            index.string(), file, name);
      all.emplace(name, tensor);
    }
  }
  for (const auto& [name, file] : file_of)
    check(all.contains(name), "{}: {} lacks {}, which the index places there", index.string(), file, name);
  return all;
}

/// An error that helps: what lies there instead.
[[noreturn]] void fail_without_weights(const fs::path& folder) {
  for (const auto* pickle : {"open_clip_pytorch_model.bin", "pytorch_model.bin", "pytorch_model.bin.index.json"}) {
    check(!is_there(folder / pickle),
          "{}: pickles are not read, they can run code; save the model as safetensors with the program that wrote it",
          (folder / pickle).string());
  }
  fail("{}: no {}, nor an index of shards (model.safetensors.index.json)", folder.string(),
       fmt::join(weights_files, " or "));
}

}  // namespace

fs::path config_file_of(const fs::path& folder) {
  check(is_folder(folder), "{}: no such model folder", folder.string());
  for (const auto* file : {open_clip_config, hugging_face_config}) {
    if (is_there(folder / file)) return folder / file;
  }
  fail("{}: neither {} nor {} in this folder", folder.string(), open_clip_config, hugging_face_config);
}

FolderTensors read_folder_tensors(const fs::path& folder) {
  for (const auto* name : weights_files) {
    const auto file = folder / name;
    if (is_there(file)) return {file.string(), tidy(read_safetensors(file).tensors)};
    const auto index = folder / (std::string(name) + ".index.json");
    if (is_there(index)) return {index.string(), tidy(read_shards(index))};
  }
  fail_without_weights(folder);
}

void write_weights(const fs::path& folder, Layout layout, const NamedTensors& tensors) {
  write_safetensors(folder / weights_files[layout == Layout::open_clip ? 0 : 1], tensors, {{"format", "pt"}});
}

}  // namespace vlalign
