// What a training run leaves on disk, and how it is found again.
#pragma once

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <functional>
#include <map>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>

#include "remote/remote_options.hpp"
#include "train/event_file.hpp"
#include "vlalign/core/io/safetensors.hpp"
#include "vlalign/ranks/shard.hpp"
#include "vlalign/train/trainer.hpp"

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

/// The checkpoint in a run folder that checkpoints/latest names, or a kill left before it was named. Throws Error where
/// that isn't whole, naming those that are.
std::optional<std::filesystem::path> newest_checkpoint(const std::filesystem::path& run);

/// Throws Error unless there is nothing in a folder but what a kill can leave where a run has hardly begun: nothing is
/// lost by beginning again.
void check_holds_nothing(const std::filesystem::path& folder);

/// Keeps a folder for one process; the system lets go of it when the process ends, however it ends.
class FolderLock {
 public:
  explicit FolderLock(const std::filesystem::path& folder);
  FolderLock(const FolderLock&) = delete;
  FolderLock& operator=(const FolderLock&) = delete;
  ~FolderLock();

 private:
  int fd_;
};

/// RUN/config.json, metrics.jsonl, events.out.tfevents.*, checkpoints/, model/, model-ema/.
class RunFolder {
 public:
  /// Makes the folder, or finds it again: throws Error, and leaves it as it is, when it holds another run, a run of
  /// settings that check_same_settings() refuses, one that another process is training, or something that the run would
  /// have to replace and isn't its own.
  RunFolder(std::filesystem::path folder, const nlohmann::json& settings, bool resume);

  /// Loads the model's weights from the checkpoint that checkpoints/latest names and reads its other tensors; the run
  /// begins where there is none. Then cuts the metrics to what had happened by that step and opens them for more.
  /// Throws Error for a checkpoint that isn't whole or can't be this run's, naming those that are whole.
  ///   load: reads the model's weights from the checkpoint's folder; kept: the other tensors, which aren't changed
  ///   stored: gets what they were; steps, batch_size: of the whole run
  Progression restore(const std::function<void(const std::filesystem::path&)>& load, const NamedShards& kept,
                      NamedTensors& stored, std::int64_t steps, std::int64_t batch_size);

  void log(const StepResult& result);
  ///   write: writes the model's files into a folder that is there
  using WriteModel = std::function<void(const std::filesystem::path& folder)>;
  ///   kept: collected one after another
  void save_checkpoint(const Progression& progression, const WriteModel& write, const NamedShards& kept);
  void save_model(const WriteModel& write, const char* name);

 private:
  std::filesystem::path checkpoints() const { return folder_ / "checkpoints"; }
  void open_logs(std::int64_t step);
  void add_transfers(nlohmann::json& line);

  std::filesystem::path folder_;
  FolderLock lock_;
  std::ofstream metrics_;
  TransferCounts transfers_;  // when the last line was written
  std::optional<EventFile> events_;
};

}  // namespace vlalign
