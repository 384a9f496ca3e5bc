#include "train/run_folder.hpp"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <nlohmann/json.hpp>
#include <thread>
#include <utility>

#include "core/check.hpp"
#include "core/io/files.hpp"
#include "core/io/folders.hpp"
#include "core/io/partial.hpp"
#include "core/json/dump_json.hpp"
#include "core/json/parse_json.hpp"
#include "core/log.hpp"
#include "train/same_settings.hpp"

namespace vlalign {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

/// Makes the folder if it is not there.
fs::path made(fs::path folder) {
  std::error_code error;
  fs::create_directories(folder, error);
  check(!error, "{}: cannot make the run folder: {}", folder.string(), error.message());
  return folder;
}

/// A run that has gone some way must not begin again because its checkpoints can't be found.
void check_nothing_is_lost(const fs::path& folder) {
  const auto metrics = folder / "metrics.jsonl";
  const bool begun = is_there(metrics) && !read_file(metrics, any_size).empty();
  check(!begun || is_folder(folder / "checkpoints"),
        "{}: metrics.jsonl is there and checkpoints/ is not; put it back, or move the folder away to begin again",
        folder.string());
}

json metrics_line(const StepResult& r) {
  json line{{"step", r.step},
            {"epoch", r.epoch},
            {"loss", r.loss},
            {"lr", r.learning_rate},
            {"logit_scale", r.logit_scale},
            {"samples_seen", r.samples_seen},
            {"pairs_per_s", r.pairs_per_s},
            {"accuracy", r.accuracy},
            {"grad_norm", r.grad_norm},
            {"wait_s", r.wait_s}};
  if (r.action_loss) line["action_loss"] = *r.action_loss;
  if (r.skipped) line["skipped"] = true;
  if (r.rewound_to) line["rewound_to"] = *r.rewound_to;
  return line;
}

/// Somebody may have cut it, or a power cut.
void warn_of_missing_steps(const fs::path& metrics, const std::string& lines, std::int64_t step) {
  const auto steps = std::count(lines.begin(), lines.end(), '\n');
  if (steps != step) log_warning("{}: holds {} of the run's {} steps so far", metrics.string(), steps, step);
}

}  // namespace

void check_holds_nothing(const fs::path& folder) {
  for (const auto& path : entries_of(folder)) {
    const auto name = path.filename().string();
    const bool ours = is_partial_name(name) || (name == "checkpoints" && is_folder(path) && entries_of(path).empty());
    check(ours, "{}: is not empty and holds no run; choose another folder", folder.string());
  }
}

void check_new_run_place(const fs::path& folder) {
  check(!is_there(folder / "config.json"), "{}: already holds a run; resume it (--resume) or choose another folder",
        folder.string());
  check_holds_nothing(folder);
}

/// Tries for a moment: whoever asks whether a run lasts holds the lock as briefly.
FolderLock::FolderLock(const fs::path& folder) : fd_(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)) {
  constexpr int most_tries = 20;
  for (int i = 0; fd_ >= 0 && i < most_tries; ++i) {
    if (::flock(fd_, LOCK_EX | LOCK_NB) == 0) return;
    if (errno != EWOULDBLOCK) break;
    if (i + 1 < most_tries) std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  const int why = errno;
  if (fd_ >= 0) ::close(fd_);
  check(why != EWOULDBLOCK, "{}: another process is training here; wait for it, or choose another folder",
        folder.string());
  fail("{}: cannot lock the run folder: {}", folder.string(), std::strerror(why));
}

FolderLock::~FolderLock() { ::close(fd_); }

RunFolder::RunFolder(fs::path folder, const json& settings, bool resume, const CheckpointOptions& options)
    : folder_(made(std::move(folder))), lock_(folder_), checkpoints_(folder_, options), projector_(folder_) {
  const auto config = folder_ / "config.json";
  const bool begun = is_there(config);
  auto written = json::parse(dump_readable(settings));  // as it comes back from the file: what is no UTF-8 is otherwise
  if (!resume) {
    check_new_run_place(folder_);
  } else if (begun) {
    check_nothing_is_lost(folder_);
    written = check_same_settings(config, written, newest_checkpoint(folder_).has_value());
    for (const auto* model : {"model", "model-ema"}) check_folder_place(folder_ / model, written_by_a_run());
  } else {
    check_holds_nothing(folder_);
  }
  tidy_folder(folder_);
  checkpoints_.open();
  if (!begun || read_json_object(config) != written) write_file_atomically(config, dump_readable(written, 2) + "\n");
}

Progression RunFolder::restore(const LoadModel& load, const NamedShards& kept, NamedTensors& stored, std::int64_t steps,
                               std::int64_t batch_size) {
  const auto progression = checkpoints_.read(load, kept, stored, steps, batch_size);
  open_logs(progression.step);
  return progression;
}

void RunFolder::open_logs(std::int64_t step) {
  const auto metrics = folder_ / "metrics.jsonl", non_finite = folder_ / "non_finite.jsonl";
  const auto lines = lines_up_to(metrics, step, /*once=*/true);
  warn_of_missing_steps(metrics, lines, step);
  metrics_.emplace(metrics, lines);
  if (is_there(non_finite)) non_finite_.emplace(non_finite, lines_up_to(non_finite, step, /*once=*/true));
  norms_.emplace(folder_, step);
  events_.emplace(folder_, step + 1);
  validation_events_.emplace(*events_);
}

/// What came from other machines since the last line, where anything ever did.
void RunFolder::add_transfers(json& line) {
  const auto now = transfer_counts(), last = std::exchange(transfers_, now);
  if (now.requests == 0 && now.cache_hits == 0) return;
  line["remote_bytes"] = now.bytes - last.bytes;
  line["remote_requests"] = now.requests - last.requests;
  line["remote_retries"] = now.retries - last.retries;
  line["cache_hits"] = now.cache_hits - last.cache_hits;
  line["cache_misses"] = now.cache_misses - last.cache_misses;
}

void RunFolder::log(const StepResult& result) {
  auto line = metrics_line(result);
  add_transfers(line);
  metrics_->append(line.dump());
  events_->scalars(result.step, {{"train/loss", result.loss},
                                 {"train/accuracy", result.accuracy},
                                 {"train/lr", result.learning_rate},
                                 {"train/logit_scale", result.logit_scale},
                                 {"train/grad_norm", result.grad_norm},
                                 {"train/pairs_per_s", result.pairs_per_s}});
}

std::vector<ValidationResult> RunFolder::open_validations(std::int64_t step, const std::vector<std::string>& names) {
  const auto file = folder_ / "validation.jsonl";
  const bool is_new = !is_there(file);
  auto lines = read_validation_lines(lines_up_to(file, step, /*once=*/false), names, step);
  if (is_new && names.empty()) return {};
  validations_.emplace(file, lines.text);
  return std::move(lines.results);
}

void RunFolder::log(const ValidationResult& result) {
  validations_->append(validation_line(result));
  validation_events_->add_figures(result);
}

void RunFolder::show(const EmbeddedSet& set) {
  validation_events_->add_retrieved(set.name, set.step, set.embeddings, set.source);
  if (!set.is_last) return;
  try {
    projector_.write(set.name, set.embeddings, set.source);
  } catch (const Error& error) {
    log_warning("TensorBoard's projector: {}", error.what());
  }
}

void RunFolder::log_norms(std::int64_t step, GroupNorms& norms) {
  norms_->add(step, norms.after(), norms.histograms(), *events_);
}

void RunFolder::log_non_finite(const json& line) {
  if (!non_finite_) non_finite_.emplace(folder_ / "non_finite.jsonl", "");
  non_finite_->append(dump_readable(line));
}

void RunFolder::save_model(const WriteModel& write, const char* name) {
  write_folder_atomically(folder_ / name, written_by_a_run(), write);
}

void RunFolder::check_written() const {
  metrics_->check_written();
  for (const auto* log : {&validations_, &non_finite_})
    if (*log) (*log)->check_written();
}

}  // namespace vlalign
