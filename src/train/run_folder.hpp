// What a training run leaves on disk, and how it is found again.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "remote/remote_options.hpp"
#include "train/checkpoint_folder.hpp"
#include "train/event_file.hpp"
#include "train/line_log.hpp"
#include "train/norms_log.hpp"
#include "train/projector.hpp"
#include "train/run_validation.hpp"
#include "train/validation_events.hpp"
#include "train/validation_lines.hpp"
#include "vlalign/core/io/safetensors.hpp"
#include "vlalign/ranks/shard.hpp"
#include "vlalign/train/trainer.hpp"

namespace vlalign {

/// Throws Error unless there is nothing in a folder but what a kill can leave where a run has hardly begun: nothing is
/// lost by beginning again.
void check_holds_nothing(const std::filesystem::path& folder);

/// Throws Error unless a new run can begin in the folder: nothing is in it, not even another run.
void check_new_run_place(const std::filesystem::path& folder);

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

/// RUN/config.json, metrics.jsonl, validation.jsonl, non_finite.jsonl, norms.jsonl, events.out.tfevents.*,
/// projector/, checkpoints/, model/, model-ema/.
class RunFolder {
 public:
  ///   write: writes the model's files into a folder that is there; load: reads the model's weights from one
  using WriteModel = std::function<void(const std::filesystem::path& folder)>;
  using LoadModel = std::function<void(const std::filesystem::path& folder)>;

  /// Makes the folder, or finds it again: throws Error, and leaves it as it is, when it holds another run, a run of
  /// settings that check_same_settings() refuses, one that another process is training, or something that the run would
  /// have to replace and isn't its own.
  RunFolder(std::filesystem::path folder, const nlohmann::json& settings, bool resume,
            const CheckpointOptions& options = {});

  /// Loads the model's weights from the checkpoint that checkpoints/latest names and reads its other tensors; the run
  /// begins where there is none. Then cuts the metrics to what had happened by that step and opens them for more.
  /// Throws Error for a checkpoint that isn't whole or can't be this run's, naming those that are whole.
  ///   kept: the other tensors, which aren't changed; stored: gets what they were; steps, batch_size: of the whole run
  Progression restore(const LoadModel& load, const NamedShards& kept, NamedTensors& stored, std::int64_t steps,
                      std::int64_t batch_size);
  void log(const StepResult& result);
  /// Opens validation.jsonl; the results it holds up to a step, of that step only where all of these names have one.
  std::vector<ValidationResult> open_validations(std::int64_t step, const std::vector<std::string>& names);
  void log(const ValidationResult& result);
  /// Shows TensorBoard what a validation has embedded.
  void show(const EmbeddedSet& set);
  void log_non_finite(const nlohmann::json& line);
  void log_norms(std::int64_t step, GroupNorms& norms);

  CheckpointFolder& checkpoints() { return checkpoints_; }
  void save_model(const WriteModel& write, const char* name);

  /// Throws Error while lines of a log could not be written.
  void check_written() const;

 private:
  void open_logs(std::int64_t step);
  void add_transfers(nlohmann::json& line);

  std::filesystem::path folder_;
  FolderLock lock_;
  CheckpointFolder checkpoints_;
  std::optional<LineLog> metrics_, validations_, non_finite_;
  TransferCounts transfers_;  // when the last line was written
  std::optional<NormsLog> norms_;
  std::optional<EventFile> events_;
  std::optional<ValidationEvents> validation_events_;
  Projector projector_;
};

}  // namespace vlalign
