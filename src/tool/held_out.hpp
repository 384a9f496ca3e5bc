// The held-out sets that a training run is evaluated on at its end: --val and --val-note.
#pragma once

#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <span>
#include <string>
#include <vector>

#include "vlalign/data/sources/pairs.hpp"
#include "vlalign/report/report.hpp"

namespace vlalign::tool {

struct HeldOutSet {
  std::string name, note;
  std::shared_ptr<const PairSource> pairs;
};

/// Opens what --val names, NAME=DATA or DATA alone. Throws Error, before anything is trained, where one can't be opened
/// or none of its first pictures be read, where two have the same name, or one has the name of a key of eval.json.
///   notes: of the sets, in their order; fewer are allowed
std::vector<HeldOutSet> open_held_out(const std::vector<std::string>& specs, const std::vector<std::string>& notes,
                                      const PairOptions& columns);

/// eval.json: the first set's figures at the top, those of each other under its name.
nlohmann::ordered_json eval_json(std::span<const ReportTest> tests, std::span<const HeldOutSet> sets);

}  // namespace vlalign::tool
