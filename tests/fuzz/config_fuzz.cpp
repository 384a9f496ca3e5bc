// Bytes as a model folder's JSON, the first byte telling which: o an open_clip_config.json; h a config.json, then
// preprocessor_config.json behind a separator; i an index of shards. What can be written comes back the same.
#include <ATen/ops/arange.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <cmath>
#include <iostream>

#include "input.hpp"
#include "model/config_json.hpp"
#include "model/model_folder.hpp"

namespace vlalign::fuzz {
namespace {

using Files = std::vector<ConfigFile>;

Files open_clip_files(const ModelConfig& config) { return {{"open_clip_config.json", to_open_clip_json(config)}}; }

ModelConfig read_files(const InputFolder& folder, const Files& files) {
  for (const auto& file : files) folder.write(file.name, file.text);
  return read_model_config(folder.path() / files.front().name);
}

/// Equal, numbers to rounding: some go through an exponential and back.
bool alike(const nlohmann::json& a, const nlohmann::json& b) {
  if (a.is_number() && b.is_number()) {
    const auto x = a.get<double>(), y = b.get<double>();
    return std::abs(x - y) <= 1e-9 * std::max(std::abs(x), std::abs(y));
  }
  if (a.type() != b.type() || a.size() != b.size()) return false;
  if (!a.is_structured()) return a == b;
  return std::equal(a.begin(), a.end(), b.begin(), alike) &&
         (a.is_array() || std::equal(a.items().begin(), a.items().end(), b.items().begin(),
                                     [](const auto& x, const auto& y) { return x.key() == y.key(); }));
}

/// `write` gives a config's files in its own layout; not every config has any.
void check_comes_back(const InputFolder& folder, const ModelConfig& config, Files (*write)(const ModelConfig&)) {
  Files files;
  if (!succeeds([&] { files = write(config); })) return;
  const auto again = write(read_files(folder, files));
  require(files.size() == again.size());
  for (std::size_t i = 0; i < files.size(); ++i) {
    if (alike(nlohmann::json::parse(files[i].text), nlohmann::json::parse(again[i].text))) continue;
    std::cerr << files[i].name << " was\n" << files[i].text << "and came back as\n" << again[i].text;
    require(false);
  }
}

void fuzz_config(const InputFolder& folder, const Files& files) {
  ModelConfig config;
  if (!succeeds([&] { config = read_files(folder, files); })) return;
  succeeds([&] { family(config); });
  const bool open_clip = config.layout == Layout::open_clip;
  check_comes_back(folder, config, open_clip ? open_clip_files : hugging_face_config_files);
  succeeds([&] { read_files(folder, open_clip ? hugging_face_config_files(config) : open_clip_files(config)); });
}

void fuzz_index(const InputFolder& folder, std::string_view text) {
  for (const auto* shard : {"a", "b"}) {
    write_safetensors(folder.path() / shard, {{std::string(shard) + ".x", at::arange(3)}, {"module.y", at::arange(2)}});
  }
  folder.write("model.safetensors.index.json", text);
  succeeds([&] { read_folder_tensors(folder.path()); });
}

}  // namespace
}  // namespace vlalign::fuzz

extern "C" int LLVMFuzzerInitialize(int*, char***) {
  spdlog::set_level(spdlog::level::off);
  return 0;
}

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace vlalign::fuzz;
  static const InputFolder folder;
  if (size == 0) return 0;
  std::string_view bytes(reinterpret_cast<const char*>(data), size);
  const char kind = bytes[0];
  bytes.remove_prefix(1);
  folder.clear();
  if (kind == 'i') {
    fuzz_index(folder, bytes);
  } else if (kind == 'h') {
    Files files{{"config.json", std::string(take_part(bytes))}};
    if (!bytes.empty()) files.push_back({"preprocessor_config.json", std::string(bytes)});
    fuzz_config(folder, files);
  } else {
    fuzz_config(folder, {{"open_clip_config.json", std::string(bytes)}});
  }
  return 0;
}
