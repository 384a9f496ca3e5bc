#include "model/peers/model_folder.hpp"

#include <algorithm>
#include <array>
#include <set>
#include <string_view>

#include "core/check.hpp"
#include "core/io/files.hpp"
#include "core/io/folders.hpp"
#include "core/io/partial.hpp"
#include "core/json/json_section.hpp"
#include "core/json/parse_json.hpp"
#include "core/log.hpp"

namespace vlalign {
namespace {

namespace fs = std::filesystem;

constexpr auto open_clip_config = "open_clip_config.json";
constexpr auto hugging_face_config = "config.json";
// In the order of Layout.
constexpr std::array config_names{open_clip_config, hugging_face_config};
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
                                 "sentencepiece.bpe.model",
                                 "tokenizer.model",
                                 "chat_template.jinja",
                                 "adapter.safetensors",
                                 int8_file};

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
  constexpr std::array<std::string_view, 3> buffers{"position_ids", "token_type_ids", "attn_mask"};
  const std::string_view last = std::string_view(name).substr(name.rfind('.') + 1);
  const bool sines = name.ends_with("embed_positions.weights");  // a fixed table of M2M-100's
  return count || sines || std::find(buffers.begin(), buffers.end(), last) != buffers.end();
}

/// BERT's first checkpoints call a layer norm's weight and bias gamma and beta.
std::string with_current_names(std::string name) {
  constexpr std::pair<std::string_view, std::string_view> renamed[] = {{"LayerNorm.gamma", "weight"},
                                                                       {"LayerNorm.beta", "bias"}};
  for (const auto& [old, current] : renamed) {
    if (name.ends_with(old)) return name.replace(name.rfind('.') + 1, name.npos, current);
  }
  return name;
}

NamedTensors tidy(const NamedTensors& tensors) {
  constexpr std::string_view wrapper = "module.";  // of a model that was saved wrapped for several processes
  const bool wrapped = !tensors.empty() && std::all_of(tensors.begin(), tensors.end(), [&](const auto& entry) {
    return entry.first.starts_with(wrapper);
  });
  NamedTensors tidied;
  for (const auto& [name, tensor] : tensors) {
    const auto plain = with_current_names(wrapped ? name.substr(wrapper.size()) : name);
    if (is_no_weight(plain)) continue;
    check(tidied.emplace(plain, tensor).second, "the file holds {} twice, under an old name too", plain);
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

/// The file of a peer's weights or the index of its shards; empty where there is neither.
fs::path weights_in(const fs::path& folder, const std::string& name) {
  for (const auto& file : {name, name + ".index.json"}) {
    if (is_there(folder / file)) return folder / file;
  }
  return {};
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
  return other || name.ends_with(".tiktoken") || is_weights_file(name) || is_partial_name(name);
}

const Replaceable& replaceable_model() {
  static const Replaceable model{"a model folder", model_misfit};
  return model;
}

Layout layout_of(const fs::path& folder) {
  const auto has_config = [&](std::size_t peer) { return is_there(folder / config_names[peer]); };
  for (const std::size_t peer : {0, 1}) {
    if (has_config(peer) && !weights_in(folder, weights_files[peer]).empty()) return static_cast<Layout>(peer);
  }
  return has_config(0) ? Layout::open_clip : Layout::hugging_face;
}

namespace {

/// A run's folder and a policy's have a config too, and the model below.
void check_not_above_model(const fs::path& folder) {
  if (!weights_in(folder, weights_files[0]).empty() || !weights_in(folder, weights_files[1]).empty()) return;
  for (const auto* below : {"model", "encoder"})
    for (const auto* config : {config_names[0], config_names[1], "policy.json"})
      check(!is_there(folder / below / config), "{}: holds no weights; the folder to name is {}", folder.string(),
            (folder / below).string());
}

/// The place in the lists above of the peer whose files are taken.
std::size_t peer_of(const fs::path& folder) {
  check(is_folder(folder), "{}: {}", folder.string(),
        is_there(folder) ? "is a file; expected a model folder" : "no such model folder");
  check_not_above_model(folder);
  const auto peer = static_cast<std::size_t>(layout_of(folder));
  check(is_there(folder / config_names[peer]), "{}: neither {} nor {} in this folder", folder.string(),
        open_clip_config, hugging_face_config);
  return peer;
}

}  // namespace

fs::path config_file_of(const fs::path& folder) {
  const auto peer = peer_of(folder);
  if (is_there(folder / config_names[1 - peer]))
    log_info("{}: holds both peers' configs; {} and the weights that go with it are taken", folder.string(),
             config_names[peer]);
  return folder / config_names[peer];
}

FolderTensors read_folder_tensors(const fs::path& folder) {
  const auto peer = static_cast<std::size_t>(layout_of(folder));
  auto file = weights_in(folder, weights_files[peer]);
  if (file.empty()) file = weights_in(folder, weights_files[1 - peer]);
  if (file.empty()) fail_without_weights(folder);
  const bool index = file.extension() == ".json";
  return {file.string(), tidy(index ? read_shards(file) : read_safetensors(file).tensors)};
}

FolderWeights read_folder_weights(const fs::path& folder) {
  FolderWeights weights;
  read_whole_folder(folder, [&](const fs::path& place) {
    weights = {static_cast<Layout>(peer_of(place)), read_folder_tensors(place)};
  });
  return weights;
}

void write_weights(const fs::path& folder, Layout layout, const NamedTensors& tensors) {
  write_safetensors(folder / weights_files[layout == Layout::open_clip ? 0 : 1], tensors, {{"format", "pt"}});
}

}  // namespace vlalign
