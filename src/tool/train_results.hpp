// What `train` finds out at its end, and leaves in the run folder: eval.json, eval.safetensors and report.html.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "tool/held_out.hpp"
#include "tool/train_flags.hpp"
#include "vlalign/eval/zero_shot.hpp"
#include "vlalign/report/report.hpp"
#include "vlalign/train/trainer.hpp"

namespace vlalign::tool {

/// Where a run folder is there already, its results must be able to go into it.
void check_results_place(const std::filesystem::path& run);

/// Of the sets, in their order; none on ranks other than the first.
struct Results {
  std::vector<ReportTest> tests;
  std::vector<ZeroShotScores> zero_shot;
};

/// On several ranks collective.
Results evaluate(const DualEncoder& model, const HeldOut& sets, const EmbedOptions& options);

/// What a run is about, beside its flags.
struct TrainedRun {
  const TrainFlags& flags;
  const DualEncoder& model;
  std::int64_t pictures;
  const TrainSummary& summary;
};

/// Writes eval.json and eval.safetensors, where there are results, and the report, and prints them.
void write_results(const TrainedRun& run, const HeldOut& sets, const Results& results);

/// What the report says of a run before its first step.
ReportInput page_so_far(const TrainFlags& flags, const DualEncoder& model, std::int64_t pictures);

/// Of a run that isn't over.
void tell_how_to_go_on(const TrainedRun& run);

}  // namespace vlalign::tool
