// Whether a run may go on under the settings of now. Internal.
#pragma once

#include <filesystem>
#include <nlohmann/json_fwd.hpp>
#include <string>

namespace vlalign {

/// Throws Error naming every setting that decides the run's bits and differs from those in `config`, with both values.
/// A difference that changes nothing (how the data's location is spelled, which GPU) is told in a line, and so is one
/// that changes no more than roundings (device, threads, ranks, micro-batches), or makes the run longer. What an older
/// version didn't note isn't compared.
///   config: RUN/config.json
///   has_checkpoint: the weights come from one, so that those the run starts from don't matter
/// Returns what the config has to say from now on.
nlohmann::json check_same_settings(const std::filesystem::path& config, const nlohmann::json& now, bool has_checkpoint);

/// The same of what a run's mirror holds, and tells nothing of what is no Error.
///   before, name: the config's contents, and what messages call it
void check_mirrors_same_run(const nlohmann::json& before, const std::string& name, const nlohmann::json& now,
                            bool has_checkpoint);

}  // namespace vlalign
