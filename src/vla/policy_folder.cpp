#include "vla/policy_folder.hpp"

#include <algorithm>

#include "core/io/files.hpp"
#include "model/peers/model_folder.hpp"
#include "vla/policy_config.hpp"

namespace vlalign::vla {
namespace {

namespace fs = std::filesystem;

bool holds_model_files_alone(const fs::path& folder) {
  const auto entries = entries_of(folder);
  return std::all_of(entries.begin(), entries.end(),
                     [](const auto& path) { return !is_folder(path) && is_model_file(path.filename().string()); });
}

/// What write() makes.
std::string policy_misfit(const fs::path& folder) {
  for (const auto& path : entries_of(folder)) {
    const auto name = path.filename().string();
    const bool encoder = name == "encoder" && is_folder(path), second = name == second_folder && is_folder(path);
    const auto misfit = encoder ? replaceable_model().misfit(path) : "";
    if (!misfit.empty()) return "its encoder is no model folder, " + misfit;
    if (second && !holds_model_files_alone(path)) return "its second tower's folder holds other files too";
    if (!encoder && !second && (is_folder(path) || (name != "policy.json" && name != "policy.safetensors")))
      return name + " is in it";
  }
  return is_there(folder / "policy.json") ? "" : "no policy.json is in it";
}

}  // namespace

const Replaceable& replaceable_policy() {
  static const Replaceable policy{"a policy's folder", policy_misfit};
  return policy;
}

}  // namespace vlalign::vla
