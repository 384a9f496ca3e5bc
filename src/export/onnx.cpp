#include "vlalign/export/onnx.hpp"

#include <nlohmann/json.hpp>

#include "core/check.hpp"
#include "core/io/files.hpp"
#include "core/io/folders.hpp"
#include "core/json/dump_json.hpp"
#include "core/log.hpp"
#include "export/metadata.hpp"
#include "export/onnx_file.hpp"
#include "export/onnx_place.hpp"
#include "export/policy_graphs.hpp"
#include "export/preprocess_graph.hpp"
#include "export/tower_graphs.hpp"
#include "model/int8_mode.hpp"
#include "model/peers/model_folder.hpp"
#include "model/savable.hpp"

namespace vlalign {
namespace {

namespace fs = std::filesystem;

constexpr auto facts_file = "export.json";

bool is_export_file(const std::string& name) {
  const bool graph = name.ends_with(".onnx") || name.ends_with(".onnx.data");
  return graph || name == facts_file || (is_model_file(name) && !name.ends_with(".safetensors"));
}

std::string export_misfit(const fs::path& folder) {
  for (const auto& path : entries_of(folder)) {
    const auto name = path.filename().string();
    if (is_folder(path) || !is_export_file(name)) return name + " is in it";
  }
  return is_there(folder / facts_file) ? "" : "no export.json is in it";
}

void check_options(const DualEncoder& model, const OnnxOptions& options) {
  const auto context = model.config().text.context_length;
  const auto length = options.text_length.value_or(1);
  check(length >= 1 && length <= context, "[export] text_length: expected 1 to {}, the context length, got {}", context,
        length);
  check(options.precision == Precision::fp32 || options.precision == Precision::int8,
        "[export] precision: graphs are written in fp32 or int8, got {}", to_string(options.precision));
  checked_mode(model, options.precision);
  check(options.external_above >= 0, "[export] external_above: expected 0 bytes or more, got {}",
        options.external_above);
}

/// Beside the config that it is read with; alone where the model's layout has none for such a model.
void write_tokenizer(const DualEncoder& model, const fs::path& folder) {
  try {
    check_savable(model);
  } catch (const Error& error) {
    log_warning("[export] the tokenizer's files are written without a config, which can't be: {}", error.what());
    return model.tokenizer()->save(folder);
  }
  write_description(folder, model);
}

/// All graphs are made before the first is written.
void write_export(const fs::path& folder, const DualEncoder& model, std::vector<onnx::Model> graphs,
                  nlohmann::ordered_json facts, const OnnxOptions& options) {
  if (options.preprocess) graphs.push_back(onnx::preprocess_graph(model.config().preprocess));
  write_folder_atomically(folder, replaceable_export(), [&](const fs::path& place) {
    for (const auto& graph : graphs) {
      onnx::write_model(place / (graph.name + ".onnx"), graph, options.external_above);
      facts["graphs"].push_back(graph.name + ".onnx");
    }
    write_tokenizer(model, place);
    write_file_atomically(place / facts_file, dump_readable(facts, 2) + "\n");
  });
}

}  // namespace

const Replaceable& replaceable_export() {
  static const Replaceable kind{"an exported model's folder", export_misfit};
  return kind;
}

void export_onnx(const DualEncoder& model, const fs::path& folder, const OnnxOptions& options) {
  check_folder_place(folder, replaceable_export());
  check_options(model, options);
  std::vector<onnx::Model> graphs{onnx::image_graph(model, options), onnx::text_graph(model, options)};
  write_export(folder, model, std::move(graphs), onnx::facts_of(model, options), options);
}

void export_onnx(const vla::Policy& policy, const fs::path& folder, const OnnxOptions& options) {
  check_folder_place(folder, replaceable_export());
  check_options(policy.encoder(), options);
  auto graphs = onnx::policy_graphs(policy, options);
  write_export(folder, policy.encoder(), std::move(graphs), onnx::facts_of(policy, options), options);
}

}  // namespace vlalign
