#include "run_folder.hpp"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <nlohmann/json.hpp>
#include <sstream>
#include <vector>

#include "core/check.hpp"
#include "core/files.hpp"
#include "same_settings.hpp"

namespace vlalign {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

json parse_file(const fs::path& path) {
  try {
    return json::parse(read_file(path));
  } catch (const json::exception& error) {
    fail("{}: not JSON: {}", path.string(), error.what());
  }
}

/// Makes the folder if it is not there.
fs::path made(fs::path folder) {
  std::error_code error;
  fs::create_directories(folder / "checkpoints", error);
  check(!error, "{}: cannot make the run folder: {}", folder.string(), error.message());
  return folder;
}

/// What writes that were cut short have left.
void remove_partial_files(const fs::path& folder) {
  std::vector<fs::path> partial;
  for (const auto& entry : fs::directory_iterator(folder)) {
    if (entry.path().filename().string().find(".partial-") != std::string::npos) partial.push_back(entry.path());
  }
  for (const auto& path : partial) fs::remove_all(path);
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
  return line;
}

/// The lines of steps up to `step`; a line cut short by a kill belongs to a later step or is made again.
std::string lines_up_to(const std::string& text, std::int64_t step) {
  std::istringstream lines(text);
  std::string kept, line;
  while (std::getline(lines, line)) {
    const auto parsed = json::parse(line, nullptr, /*allow_exceptions=*/false);
    if (!parsed.is_object() || parsed.value("step", step + 1) > step) break;
    kept += line + "\n";
  }
  return kept;
}

}  // namespace

FolderLock::FolderLock(const fs::path& folder) : fd_(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)) {
  if (fd_ >= 0 && ::flock(fd_, LOCK_EX | LOCK_NB) == 0) return;
  const int why = errno;
  if (fd_ >= 0) ::close(fd_);
  check(why != EWOULDBLOCK, "{}: another process is training here; wait for it, or choose another folder",
        folder.string());
  fail("{}: cannot lock the run folder: {}", folder.string(), std::strerror(why));
}

FolderLock::~FolderLock() { ::close(fd_); }

RunFolder::RunFolder(fs::path folder, const json& settings, bool resume)
    : folder_(made(std::move(folder))), lock_(folder_) {
  const auto config = folder_ / "config.json";
  remove_partial_files(folder_);
  remove_partial_files(folder_ / "checkpoints");
  if (fs::exists(config)) {
    check(resume, "{}: already holds a run; resume it (--resume) or choose another folder", folder_.string());
    check_same_settings(config, settings, newest_checkpoint().has_value());
    return;
  }
  for (const auto& entry : fs::directory_iterator(folder_)) {
    check(entry.path().filename() == "checkpoints" && fs::is_empty(entry.path()),
          "{}: is not empty and holds no run; choose another folder", folder_.string());
  }
  write_file_atomically(config, settings.dump(2) + "\n");
}

std::optional<fs::path> RunFolder::newest_checkpoint() const {
  const auto latest = folder_ / "checkpoints" / "latest";
  if (!fs::exists(latest)) return std::nullopt;
  auto name = read_file(latest);
  while (!name.empty() && (name.back() == '\n' || name.back() == '\r')) name.pop_back();
  const auto path = folder_ / "checkpoints" / name;
  check(fs::is_directory(path), "{}: names a checkpoint that is not there: {}", latest.string(), name);
  return path;
}

Progression RunFolder::restore(const std::function<void(const fs::path&)>& load, const NamedTensors& tensors) {
  Progression progression;
  if (const auto checkpoint = newest_checkpoint()) {
    load(*checkpoint);
    const auto file = *checkpoint / "trainer.safetensors";
    const auto stored = read_safetensors(file).tensors;
    for (const auto& [name, tensor] : tensors) {
      const auto found = stored.find(name);
      check(found != stored.end() && found->second.sizes() == tensor.sizes(), "{}: {} is missing or of another shape",
            file.string(), name);
      tensor.copy_(found->second);
    }
    const auto state = parse_file(*checkpoint / "trainer.json");
    progression = {.step = state.at("step"),
                   .samples_seen = state.at("samples_seen"),
                   .skipped_steps = state.at("skipped_steps"),
                   .skipped_in_a_row = state.at("skipped_in_a_row")};
  }
  open_logs(progression.step);
  return progression;
}

void RunFolder::open_logs(std::int64_t step) {
  const auto path = folder_ / "metrics.jsonl";
  write_file_atomically(path, fs::exists(path) ? lines_up_to(read_file(path), step) : "");
  metrics_.open(path, std::ios::app);
  events_.emplace(folder_, step + 1);
}

void RunFolder::log(const StepResult& result) {
  metrics_ << metrics_line(result).dump() + "\n";
  metrics_.flush();
  check(metrics_.good(), "{}: cannot write; is the disk full?", (folder_ / "metrics.jsonl").string());
  events_->scalars(result.step, {{"train/loss", result.loss},
                                 {"train/accuracy", result.accuracy},
                                 {"train/lr", result.learning_rate},
                                 {"train/logit_scale", result.logit_scale},
                                 {"train/grad_norm", result.grad_norm},
                                 {"train/pairs_per_s", result.pairs_per_s}});
}

void RunFolder::save_checkpoint(const Progression& progression, const WriteModel& write, const NamedTensors& tensors) {
  const auto name = fmt::format("step-{:08}", progression.step);
  write_folder_atomically(folder_ / "checkpoints" / name, [&](const fs::path& place) {
    write(place);
    write_safetensors(place / "trainer.safetensors", tensors);
    const json state{{"step", progression.step},
                     {"samples_seen", progression.samples_seen},
                     {"skipped_steps", progression.skipped_steps},
                     {"skipped_in_a_row", progression.skipped_in_a_row}};
    write_file_atomically(place / "trainer.json", state.dump(2) + "\n");
  });
  write_file_atomically(folder_ / "checkpoints" / "latest", name + "\n");
}

void RunFolder::save_model(const WriteModel& write, const char* name) {
  write_folder_atomically(folder_ / name, write);
}

}  // namespace vlalign
