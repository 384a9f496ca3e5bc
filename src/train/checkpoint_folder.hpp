// RUN/checkpoints: which there are, how one is written and read, which are kept. Internal.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>

#include "core/io/place.hpp"
#include "vlalign/core/io/safetensors.hpp"
#include "vlalign/ranks/shard.hpp"
#include "vlalign/train/checkpoints.hpp"

namespace vlalign {

/// Where a run stands after some step: with the weights, all that has to be kept, since every random choice is keyed by
/// the seed and the step.
struct Progression {
  std::int64_t step = 0;  ///< steps done, which is also the loader's place
  std::int64_t samples_seen = 0;
  std::int64_t skipped_steps = 0;
  std::int64_t skipped_in_a_row = 0;
};

/// The number in a checkpoint's name, step-00000123; none in other names.
std::optional<std::int64_t> step_of_checkpoint(const std::string& name);

/// The name that checkpoints/latest or best holds: its text without the end of the line.
std::string checkpoint_named(std::string text);

/// The checkpoint in a run folder that checkpoints/latest names, or a kill left before it was named. Throws Error where
/// that isn't whole, naming those that are.
std::optional<std::filesystem::path> newest_checkpoint(const std::filesystem::path& run);

/// What a run may replace: the folders of a model or a policy that a run has written.
const Replaceable& written_by_a_run();

/// Those of these steps' checkpoints that the options let go.
///   newest, best: are kept; best is 0 where there is none
std::set<std::int64_t> superfluous_checkpoints(const std::set<std::int64_t>& steps, const CheckpointOptions& options,
                                               std::int64_t newest, std::int64_t best);

class CheckpointFolder {
 public:
  CheckpointFolder(std::filesystem::path run, const CheckpointOptions& options);

  /// Makes the folder and removes what a kill left in it.
  void open();

  /// What the newest checkpoint says; where there is none, the run's begin.
  ///   load: reads the model's weights from the checkpoint's folder; kept: the other tensors, which aren't changed
  ///   stored: gets what they were; steps, batch_size: of the whole run
  Progression read(const std::function<void(const std::filesystem::path&)>& load, const NamedShards& kept,
                   NamedTensors& stored, std::int64_t steps, std::int64_t batch_size);

  ///   write: writes the model's files into a folder that is there; kept: collected one after another
  void save(const Progression& progression, const std::function<void(const std::filesystem::path&)>& write,
            const NamedShards& kept);

  bool has(std::int64_t step) const;

  /// Lets checkpoints/best name the checkpoint of a step; 0: there is none.
  void name_best(std::int64_t step);

  /// Removes the checkpoints that needn't be kept.
  void prune();
  /// Removes those too that needn't be kept once the next one is there, but never the newest. How many went.
  std::int64_t make_room();
  std::string newest_name() const;  ///< "none" where there is none

 private:
  void write_checkpoint(const Progression& progression, const std::function<void(const std::filesystem::path&)>& write,
                        const NamedShards& kept, const std::function<at::Tensor(const std::string&)>& collect) const;
  std::int64_t remove_superfluous(const CheckpointOptions& options);

  std::filesystem::path run_, folder_;
  CheckpointOptions options_;
  std::int64_t newest_ = 0, best_ = 0;
};

}  // namespace vlalign
