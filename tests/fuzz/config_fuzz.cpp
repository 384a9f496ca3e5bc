// Bytes as a model folder's JSON, the first byte telling which: o an open_clip_config.json; h a config.json, then
// preprocessor_config.json behind a separator; t a text tower's config.json; i an index of shards. What can be written
// comes back the same.
#include <ATen/ops/arange.h>

#include <algorithm>
#include <cmath>
#include <iostream>

#include "input.hpp"
#include "model/peers/config_json.hpp"
#include "model/peers/model_folder.hpp"
#include "vlalign/core/log.hpp"
#include "vlalign/model/peers/read_config.hpp"

namespace vlalign::fuzz {
namespace {

using Files = std::vector<ConfigFile>;

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

Files files_of(const ModelConfig& config) {
  if (config.layout == Layout::hugging_face) return hugging_face_config_files(config);
  return {{"open_clip_config.json", to_open_clip_json(config)}};
}

/// Not every config can be written in its layout; what can must be read as the same again.
void check_comes_back(const InputFolder& folder, const ModelConfig& config) {
  Files files;
  if (!succeeds([&] { files = files_of(config); })) return;
  folder.clear();
  const auto again = files_of(read_files(folder, files));
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
  for (const auto layout : {Layout::open_clip, Layout::hugging_face})
    check_comes_back(folder, with_layout(config, layout));
}

void fuzz_text_config(const InputFolder& folder, std::string_view text) {
  folder.write("config.json", text);
  succeeds([&] { read_text_config(folder.path()); });
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
  vlalign::set_log_handler([](vlalign::LogLevel, std::string_view) {});
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
  } else if (kind == 't') {
    fuzz_text_config(folder, bytes);
  } else if (kind == 'h') {
    Files files{{"config.json", std::string(take_part(bytes))}};
    if (!bytes.empty()) files.push_back({"preprocessor_config.json", std::string(bytes)});
    fuzz_config(folder, files);
  } else {
    fuzz_config(folder, {{"open_clip_config.json", std::string(bytes)}});
  }
  return 0;
}
