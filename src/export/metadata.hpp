// What a caller of a graph has to know, for export.json and each graph's metadata. Internal.
#pragma once

#include <map>
#include <nlohmann/json_fwd.hpp>
#include <string>

#include "vlalign/export/onnx.hpp"

namespace vlalign::onnx {

nlohmann::ordered_json facts_of(const DualEncoder& model, const OnnxOptions& options);
nlohmann::ordered_json facts_of(const vla::Policy& policy, const OnnxOptions& options);

/// The same as words, a line of JSON each for what isn't a word already.
std::map<std::string, std::string> metadata_of(const DualEncoder& model, const OnnxOptions& options);
std::map<std::string, std::string> metadata_of(const vla::Policy& policy, const OnnxOptions& options);

}  // namespace vlalign::onnx
