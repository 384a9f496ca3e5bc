#include "train/run_folder.hpp"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <limits>
#include <nlohmann/json.hpp>
#include <set>
#include <sstream>
#include <utility>
#include <vector>

#include "core/check.hpp"
#include "core/io/files.hpp"
#include "core/io/folders.hpp"
#include "core/io/partial.hpp"
#include "core/io/safetensors_stream.hpp"
#include "core/json/dump_json.hpp"
#include "core/json/json_section.hpp"
#include "core/json/parse_json.hpp"
#include "model/peers/model_folder.hpp"
#include "train/same_settings.hpp"
#include "train/step_lines.hpp"

namespace vlalign {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

std::string checkpoint_name(std::int64_t step) { return fmt::format("step-{:08}", step); }

constexpr auto trainer_file = "trainer.json", trainer_tensors_file = "trainer.safetensors";

/// Makes the folder if it is not there.
fs::path made(fs::path folder) {
  std::error_code error;
  fs::create_directories(folder, error);
  check(!error, "{}: cannot make the run folder: {}", folder.string(), error.message());
  return folder;
}

/// A run replaces only the folders of a model or a policy that it has written.
std::string misfit_of(const fs::path& folder) {
  static const std::set<std::string> others{trainer_file, trainer_tensors_file, "policy.json", "policy.safetensors"};
  for (const auto& path : entries_of(folder)) {
    const auto name = path.filename().string();
    const bool encoder = name == "encoder" && is_folder(path);
    const auto misfit = encoder ? misfit_of(path) : "";
    if (!misfit.empty()) return "encoder: " + misfit;
    if (!encoder && (is_folder(path) || !(is_model_file(name) || others.contains(name)))) return name + " is in it";
  }
  return {};
}

const Replaceable& replaceable() {
  static const Replaceable folder{"a folder that a run has written", misfit_of};
  return folder;
}

/// Checkpoints by their steps; only whole ones where `whole`.
std::map<std::int64_t, fs::path> checkpoints_in(const fs::path& folder, bool whole) {
  std::map<std::int64_t, fs::path> found;
  for (const auto& path : entries_of(folder)) {
    const auto step = step_of_checkpoint(path.filename().string());
    if (!step) continue;
    if (!whole || (is_there(path / trainer_file) && is_there(path / trainer_tensors_file))) found[*step] = path;
  }
  return found;
}

/// What to do where checkpoints/latest leads to nothing good.
std::string way_out(const fs::path& checkpoints, const fs::path& bad) {
  std::vector<std::string> names;
  for (const auto& [step, path] : checkpoints_in(checkpoints, /*whole=*/true))
    if (path != bad) names.push_back(path.filename().string());
  if (names.empty()) return "there is no other: move the run folder away to begin again";
  return fmt::format("write the name of another into {}: {}", (checkpoints / "latest").string(),
                     fmt::join(names, ", "));
}

/// A run that has gone some way must not begin again because its checkpoints can't be found.
void check_nothing_is_lost(const fs::path& folder) {
  const auto metrics = folder / "metrics.jsonl";
  const bool begun = is_there(metrics) && !read_file(metrics).empty();
  check(!begun || is_folder(folder / "checkpoints"),
        "{}: metrics.jsonl is there and checkpoints/ is not; put it back, or move the folder away to begin again",
        folder.string());
}

Progression read_progression(const fs::path& checkpoint, std::int64_t steps, std::int64_t batch_size) {
  const auto file = checkpoint / trainer_file;
  const auto value = read_json_object(file);
  JsonSection state(value, file.string());
  const auto count = [&](const char* key, std::int64_t most) {
    const auto number = state.require<std::int64_t>(key);
    check(number >= 0 && number <= most, "{}.{}: expected 0 to {}, got {}", file.string(), key, most, number);
    return number;
  };
  Progression p;
  p.step = count("step", steps);
  check(step_of_checkpoint(checkpoint.filename().string()) == p.step, "{}.step: is {}, in a checkpoint called {}",
        file.string(), p.step, checkpoint.filename().string());
  std::int64_t most_samples = 0;
  if (__builtin_mul_overflow(p.step, batch_size, &most_samples))
    most_samples = std::numeric_limits<std::int64_t>::max();
  p.samples_seen = count("samples_seen", most_samples);
  p.skipped_steps = count("skipped_steps", p.step);
  p.skipped_in_a_row = count("skipped_in_a_row", p.skipped_steps);
  return p;
}

/// Throws Error unless there is one of each shape and type that is kept.
NamedTensors read_tensors(const fs::path& file, const NamedShards& kept) {
  auto stored = read_safetensors(file).tensors;
  for (const auto& [name, shard] : kept) {
    const auto found = stored.find(name);
    const auto like = shard.like();
    check(found != stored.end() && found->second.sizes() == like.sizes() &&
              found->second.scalar_type() == like.scalar_type(),
          "{}: {} is missing or of another shape", file.string(), name);
  }
  return stored;
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

}  // namespace

std::optional<std::int64_t> step_of_checkpoint(const std::string& name) {
  constexpr std::string_view prefix = "step-";
  if (!name.starts_with(prefix)) return std::nullopt;
  std::int64_t step = 0;
  const auto* end = name.data() + name.size();
  const auto [at, error] = std::from_chars(name.data() + prefix.size(), end, step);
  const bool plain = error == std::errc() && at == end && step > 0 && name == checkpoint_name(step);
  return plain ? std::optional(step) : std::nullopt;
}

std::optional<fs::path> newest_checkpoint(const fs::path& run) {
  const auto checkpoints = run / "checkpoints";
  const auto whole = checkpoints_in(checkpoints, /*whole=*/true);
  const auto latest = checkpoints / "latest";
  std::error_code error;
  if (fs::symlink_status(latest, error).type() == fs::file_type::not_found) {
    // Its first checkpoint was there, and a kill came before its name was written.
    if (!whole.empty()) return whole.rbegin()->second;
    check(!is_there(run / "model"), "{}: the run is over and its checkpoints are gone; move the folder away",
          run.string());
    return std::nullopt;
  }
  auto name = is_there(latest) ? read_text(latest) : "";
  while (!name.empty() && (name.back() == '\n' || name.back() == '\r')) name.pop_back();
  const auto found = std::find_if(whole.begin(), whole.end(),
                                  [&](const auto& checkpoint) { return checkpoint.second.filename() == name; });
  if (found != whole.end()) return found->second;
  fail("{}: names \"{}\", which is no whole checkpoint beside it; {}", latest.string(), name,
       way_out(checkpoints, latest));
}

void check_holds_nothing(const fs::path& folder) {
  for (const auto& path : entries_of(folder)) {
    const auto name = path.filename().string();
    const bool ours = is_partial_name(name) || (name == "checkpoints" && is_folder(path) && entries_of(path).empty());
    check(ours, "{}: is not empty and holds no run; choose another folder", folder.string());
  }
}

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
  const bool begun = is_there(config);
  if (begun) {
    check(resume, "{}: already holds a run; resume it (--resume) or choose another folder", folder_.string());
    check_nothing_is_lost(folder_);
    // As they would come back from the file: what is no UTF-8 is written otherwise.
    check_same_settings(config, json::parse(dump_readable(settings)), newest_checkpoint(folder_).has_value());
    for (const auto* model : {"model", "model-ema"}) check_folder_place(folder_ / model, replaceable());
  } else {
    check_holds_nothing(folder_);
  }
  tidy_folder(folder_);
  made(checkpoints());
  tidy_folder(checkpoints());
  if (!begun) write_file_atomically(config, dump_readable(settings, 2) + "\n");
}

Progression RunFolder::restore(const std::function<void(const fs::path&)>& load, const NamedShards& kept,
                               NamedTensors& stored, std::int64_t steps, std::int64_t batch_size) {
  Progression progression;
  const auto checkpoint = newest_checkpoint(folder_);
  try {
    if (checkpoint) progression = read_progression(*checkpoint, steps, batch_size);
  } catch (const Error& error) {
    fail("{}; {}", error.what(), way_out(checkpoints(), *checkpoint));
  }
  for (const auto& [step, path] : checkpoints_in(checkpoints(), /*whole=*/false))
    if (step > progression.step) check_folder_place(path, replaceable());  // it will be replaced
  if (checkpoint) {
    stored = read_tensors(*checkpoint / trainer_tensors_file, kept);
    load(*checkpoint);
  }
  open_logs(progression.step);
  return progression;
}

void RunFolder::open_logs(std::int64_t step) {
  const auto path = folder_ / "metrics.jsonl";
  write_file_atomically(path, is_there(path) ? lines_up_to(path, step) : "");
  metrics_.open(path, std::ios::app);
  check(metrics_.is_open(), "{}: cannot open: {}", path.string(), std::strerror(errno));
  events_.emplace(folder_, step + 1);
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
  metrics_ << line.dump() + "\n";
  metrics_.flush();
  check(metrics_.good(), "{}: cannot write; is the disk full?", (folder_ / "metrics.jsonl").string());
  events_->scalars(result.step, {{"train/loss", result.loss},
                                 {"train/accuracy", result.accuracy},
                                 {"train/lr", result.learning_rate},
                                 {"train/logit_scale", result.logit_scale},
                                 {"train/grad_norm", result.grad_norm},
                                 {"train/pairs_per_s", result.pairs_per_s}});
}

void RunFolder::save_checkpoint(const Progression& progression, const WriteModel& write, const NamedShards& kept) {
  NamedTensors like;
  for (const auto& [name, shard] : kept) like[name] = shard.like();
  const auto name = checkpoint_name(progression.step);
  write_folder_atomically(checkpoints() / name, replaceable(), [&](const fs::path& place) {
    write(place);
    write_safetensors(place / trainer_tensors_file, like, [&](const std::string& of) { return kept.at(of).collect(); });
    const json state{{"step", progression.step},
                     {"samples_seen", progression.samples_seen},
                     {"skipped_steps", progression.skipped_steps},
                     {"skipped_in_a_row", progression.skipped_in_a_row}};
    write_file_atomically(place / trainer_file, state.dump(2) + "\n");
  });
  write_file_atomically(checkpoints() / "latest", name + "\n");
}

void RunFolder::save_model(const WriteModel& write, const char* name) {
  write_folder_atomically(folder_ / name, replaceable(), write);
}

}  // namespace vlalign
