#include "train/checkpoint_folder.hpp"

#include <algorithm>
#include <charconv>
#include <limits>
#include <nlohmann/json.hpp>
#include <string_view>
#include <vector>

#include "core/check.hpp"
#include "core/io/files.hpp"
#include "core/io/folders.hpp"
#include "core/io/safetensors_stream.hpp"
#include "core/json/json_section.hpp"
#include "core/json/parse_json.hpp"
#include "core/log.hpp"
#include "model/peers/model_folder.hpp"

namespace vlalign {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

std::string checkpoint_name(std::int64_t step) { return fmt::format("step-{:08}", step); }

constexpr auto trainer_file = "trainer.json", trainer_tensors_file = "trainer.safetensors";

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

std::string checkpoint_named(std::string text) {
  while (text.ends_with('\n') || text.ends_with('\r')) text.pop_back();
  return text;
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
  const auto name = is_there(latest) ? checkpoint_named(read_text(latest)) : "";
  const auto found = std::find_if(whole.begin(), whole.end(),
                                  [&](const auto& checkpoint) { return checkpoint.second.filename() == name; });
  if (found != whole.end()) return found->second;
  fail("{}: names \"{}\", which is no whole checkpoint beside it; {}", latest.string(), name,
       way_out(checkpoints, latest));
}

const Replaceable& written_by_a_run() {
  static const Replaceable folder{"a folder that a run has written", misfit_of};
  return folder;
}

std::set<std::int64_t> superfluous_checkpoints(const std::set<std::int64_t>& steps, const CheckpointOptions& options,
                                               std::int64_t newest, std::int64_t best) {
  std::set<std::int64_t> superfluous;
  if (options.keep_last == 0) return superfluous;
  std::int64_t newer = 0;
  for (auto step = steps.rbegin(); step != steps.rend(); ++step) {
    if (*step > newest) continue;  // of a run that went back: they are made again
    const bool kept = newer < options.keep_last || *step == newest || *step == best ||
                      (options.keep_every > 0 && *step % options.keep_every == 0);
    if (!kept) superfluous.insert(*step);
    ++newer;
  }
  return superfluous;
}

CheckpointFolder::CheckpointFolder(fs::path run, const CheckpointOptions& options)
    : run_(std::move(run)), folder_(run_ / "checkpoints"), options_(options) {}

void CheckpointFolder::open() {
  std::error_code error;
  fs::create_directories(folder_, error);
  check(!error, "{}: cannot make the folder: {}", folder_.string(), error.message());
  tidy_folder(folder_);
}

Progression CheckpointFolder::read(const std::function<void(const fs::path&)>& load, const NamedShards& kept,
                                   NamedTensors& stored, std::int64_t steps, std::int64_t batch_size) {
  Progression progression;
  const auto checkpoint = newest_checkpoint(run_);
  try {
    if (checkpoint) progression = read_progression(*checkpoint, steps, batch_size);
  } catch (const Error& error) {
    fail("{}; {}", error.what(), way_out(folder_, *checkpoint));
  }
  for (const auto& [step, path] : checkpoints_in(folder_, /*whole=*/false))
    if (step > progression.step) check_folder_place(path, written_by_a_run());  // it will be replaced
  if (checkpoint) {
    stored = read_tensors(*checkpoint / trainer_tensors_file, kept);
    load(*checkpoint);
  }
  newest_ = progression.step;
  return progression;
}

void CheckpointFolder::save(const Progression& progression, const std::function<void(const fs::path&)>& write,
                            const NamedShards& kept) {
  std::set<std::string> collected;
  const auto collect = [&](const std::string& name) {
    collected.insert(name);
    return kept.at(name).collect();
  };
  try {
    write_checkpoint(progression, write, kept, collect);
  } catch (...) {
    for (const auto& [name, shard] : kept)
      if (!collected.contains(name)) shard.collect();  // for which the other ranks wait
    throw;
  }
  write_file_atomically(folder_ / "latest", checkpoint_name(progression.step) + "\n");
  newest_ = progression.step;
}

void CheckpointFolder::write_checkpoint(const Progression& progression,
                                        const std::function<void(const fs::path&)>& write, const NamedShards& kept,
                                        const std::function<at::Tensor(const std::string&)>& collect) const {
  NamedTensors like;
  for (const auto& [name, shard] : kept) like[name] = shard.like();
  const auto name = checkpoint_name(progression.step);
  write_folder_atomically(folder_ / name, written_by_a_run(), [&](const fs::path& place) {
    write(place);
    write_safetensors(place / trainer_tensors_file, like, collect);
    const json state{{"step", progression.step},
                     {"samples_seen", progression.samples_seen},
                     {"skipped_steps", progression.skipped_steps},
                     {"skipped_in_a_row", progression.skipped_in_a_row}};
    write_file_atomically(place / trainer_file, state.dump(2) + "\n");
  });
}

bool CheckpointFolder::has(std::int64_t step) const {
  return step > 0 && is_there(folder_ / checkpoint_name(step) / trainer_file);
}

void CheckpointFolder::name_best(std::int64_t step) {
  best_ = step;
  const auto file = folder_ / "best";
  if (step > 0) {
    write_file_atomically(file, checkpoint_name(step) + "\n");
  } else if (is_there(file)) {
    fs::remove(file);
  }
}

void CheckpointFolder::prune() { remove_superfluous(options_); }

std::int64_t CheckpointFolder::make_room() {
  auto fewer = options_;
  if (fewer.keep_last > 1) --fewer.keep_last;
  return remove_superfluous(fewer);
}

std::string CheckpointFolder::newest_name() const { return newest_ > 0 ? checkpoint_name(newest_) : "none"; }

std::int64_t CheckpointFolder::remove_superfluous(const CheckpointOptions& options) {
  std::set<std::int64_t> steps;
  const auto whole = checkpoints_in(folder_, /*whole=*/true);
  for (const auto& [step, path] : whole) steps.insert(step);
  std::int64_t gone = 0;
  for (const auto step : superfluous_checkpoints(steps, options, newest_, best_)) {
    try {
      const auto& path = whole.at(step);
      check_folder_place(path, written_by_a_run());
      remove_folder_atomically(path);
      ++gone;
    } catch (const Error& error) {
      log_warning("a checkpoint that needn't be kept stays: {}", error.what());
    }
  }
  return gone;
}

}  // namespace vlalign
