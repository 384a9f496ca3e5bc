// What decides the bits of a run, as config.json has it. Internal.
#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>

#include "train/run_stages.hpp"
#include "train/task.hpp"

namespace vlalign {

/// Whatever decides the bits of the run; check_same_settings() says what a resumed run must agree in.
///   steps: the run's
nlohmann::json run_settings(const Task& task, const TrainerOptions& options, std::int64_t steps,
                            const RunStages& stages);

}  // namespace vlalign
