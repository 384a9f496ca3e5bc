#include "train/norms_log.hpp"

#include <nlohmann/json.hpp>

#include "core/io/files.hpp"

namespace vlalign {

NormsLog::NormsLog(const std::filesystem::path& run, std::int64_t step) : path_(run / "norms.jsonl") {
  if (is_there(path_)) lines_.emplace(path_, lines_up_to(path_, step, /*once=*/true));
}

void NormsLog::add(std::int64_t step, const std::vector<GroupNorm>& norms,
                   const std::vector<std::pair<std::string, Histogram>>& histograms, EventFile& events) {
  nlohmann::ordered_json groups;
  std::vector<std::pair<std::string, double>> scalars;
  for (const auto& norm : norms) {
    groups[norm.group] = {{"parameter", norm.parameter}, {"gradient", norm.gradient}, {"update", norm.update}};
    scalars.emplace_back("norms/parameter/" + norm.group, norm.parameter);
    scalars.emplace_back("norms/gradient/" + norm.group, norm.gradient);
    scalars.emplace_back("norms/update/" + norm.group, norm.update);
  }
  if (!lines_) lines_.emplace(path_, "");
  lines_->append(nlohmann::ordered_json{{"step", step}, {"groups", groups}}.dump());
  events.scalars(step, scalars);
  events.histograms(step, histograms);
}

}  // namespace vlalign
