#include <fmt/format.h>

#include <filesystem>
#include <nlohmann/json.hpp>

#include "core/io/files.hpp"
#include "export/onnx_place.hpp"
#include "tool/commands.hpp"
#include "tool/output.hpp"
#include "vlalign/export/onnx.hpp"

namespace vlalign::tool {
namespace {

struct ExportFlags {
  std::string folder, to = "onnx", out;
  OnnxOptions options;
  std::string precision = "fp32";
  bool json = false;
};

/// Which kind of folder it is follows from policy.json.
void export_folder(const ExportFlags& flags) {
  check_folder_place(flags.out, replaceable_export());
  auto options = flags.options;
  options.precision = parse_precision(flags.precision);
  if (is_there(std::filesystem::path(flags.folder) / "policy.json")) {
    export_onnx(vla::Policy::load(flags.folder), flags.out, options);
  } else {
    export_onnx(DualEncoder::load(flags.folder), flags.out, options);
  }
  const auto facts = nlohmann::ordered_json::parse(read_file(std::filesystem::path(flags.out) / "export.json"));
  if (flags.json) {
    print_json({{"out", flags.out}, {"graphs", facts["graphs"]}});
  } else {
    for (const auto& graph : facts["graphs"]) fmt::print("{}/{}\n", flags.out, graph.get<std::string>());
  }
}

}  // namespace

void add_export(CLI::App& program) {
  auto* command = program.add_subcommand("export", "Write a model or a policy as graphs for other engines");
  const auto flags = std::make_shared<ExportFlags>();
  auto& options = flags->options;
  command->add_option("--model", flags->folder, "Model folder, or a policy's")->required()->check(not_empty);
  command->add_option("--to", flags->to, "What to write: onnx, for ONNX Runtime, OpenVINO, TensorRT and others")
      ->check(CLI::IsMember({"onnx"}))
      ->capture_default_str();
  command->add_option("--out", flags->out, "Folder to write")->required()->check(not_empty);
  command->add_flag("--normalize", options.normalize,
                    "The graphs take uint8 pixels and normalise them; without it float32, normalised already");
  command->add_flag("--raw", options.raw, "Embeddings not of unit length");
  command->add_flag("--tokens", options.tokens, "Patches' and words' features too");
  command->add_option("--layers", options.layers, "Outputs of these layers too, such as 3,-1")->delimiter(',');
  command->add_option("--text-length", options.text_length,
                      "The only length of texts that the graph takes; any without it");
  command->add_option("--precision", flags->precision, "fp32, or int8 of a model that quantize has prepared")
      ->check(CLI::IsMember({"fp32", "int8"}))
      ->capture_default_str();
  command->add_flag("--preprocess", options.preprocess,
                    "A graph from a picture of any size to normalised pixels too (opset 18)");
  command->add_flag("--json", flags->json, "Print one JSON object on stdout and nothing else there");
  command->callback([flags] { export_folder(*flags); });
}

}  // namespace vlalign::tool
