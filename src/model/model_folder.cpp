#include "model_folder.hpp"

#include <algorithm>
#include <array>
#include <set>
#include <string_view>

#include "core/check.hpp"
#include "core/files.hpp"
#include "core/folders.hpp"
#include "core/parse_json.hpp"
#include "core/partial.hpp"
#include "json_section.hpp"

namespace vlalign {
namespace {

namespace fs = std::filesystem;

constexpr auto open_clip_config = "open_clip_config.json";
constexpr auto hugging_face_config = "config.json";
constexpr std::array weights_files{"open_clip_model.safetensors", "model.safetensors"};

/// What the peers' and our own save functions write beside the weights: configs, tokenizers, a LoRA adapter.
constexpr std::array other_files{open_clip_config,
                                 hugging_face_config,
                                 "preprocessor_config.json",
                                 "processor_config.json",
                                 "tokenizer.json",
                                 "tokenizer_config.json",
                                 "special_tokens_map.json",
                                 "added_tokens.json",
                                 "vocab.json",
                                 "merges.txt",
                                 "vocab.txt",
                                 "spiece.model",
                                 "tokenizer.model",
                                 "chat_template.jinja",
                                 "adapter.safetensors"};

/// "-00001-of-00002", as the peers number shards.
bool is_shard_number(std::string_view text) {
  constexpr std::string_view pattern = "-#####-of-#####";
  return std::equal(text.begin(), text.end(), pattern.begin(), pattern.end(), [](char letter, char wanted) {
    return wanted == '#' ? letter >= '0' && letter <= '9' : letter == wanted;
  });
}

/// open_clip_model.safetensors or model.safetensors, its index, or one of its shards.
bool is_weights_file(std::string_view name) {
  return std::any_of(weights_files.begin(), weights_files.end(), [&](std::string_view whole) {
    if (!name.starts_with(whole.substr(0, whole.find('.')))) return false;
    const auto ending = whole.substr(whole.find('.')), rest = name.substr(whole.find('.'));
    const bool shard = rest.ends_with(ending) && is_shard_number(rest.substr(0, rest.size() - ending.size()));
    return name == whole || shard || (name.starts_with(whole) && name.substr(whole.size()) == ".index.json");
  });
}

std::string model_misfit(const fs::path& folder) {
  bool config = false, weights = false;
  for (const auto& path : entries_of(folder)) {
    const auto name = path.filename().string();
    if (is_folder(path) || !is_model_file(name)) return name + " is in it";
    config = config || name == open_clip_config || name == hugging_face_config;
    weights = weights || is_weights_file(name);
  }
  return config && weights ? "" : config ? "no weights are in it" : "no config is in it";
}

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

bool is_model_file(const std::string& name) {
  const bool other = std::find(other_files.begin(), other_files.end(), std::string_view(name)) != other_files.end();
  return other || is_weights_file(name) || is_partial_name(name);
}

const Replaceable& replaceable_model() {
  static const Replaceable model{"a model folder", model_misfit};
  return model;
}

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

FolderWeights read_folder_weights(const fs::path& folder) {
  FolderWeights weights;
  read_whole_folder(folder, [&](const fs::path& place) {
    const bool hugging_face = config_file_of(place).filename() == hugging_face_config;
    weights = {hugging_face ? Layout::hugging_face : Layout::open_clip, read_folder_tensors(place)};
  });
  return weights;
}

void write_weights(const fs::path& folder, Layout layout, const NamedTensors& tensors) {
  write_safetensors(folder / weights_files[layout == Layout::open_clip ? 0 : 1], tensors, {{"format", "pt"}});
}

}  // namespace vlalign
