#include "train/run_mirror.hpp"

#include <algorithm>
#include <chrono>
#include <iterator>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <utility>

#include "core/check.hpp"
#include "core/io/files.hpp"
#include "core/io/input_file.hpp"
#include "core/json/dump_json.hpp"
#include "core/json/parse_json.hpp"
#include "core/log.hpp"
#include "remote/bucket.hpp"
#include "remote/remote_error.hpp"
#include "train/mirrored_run.hpp"
#include "train/run_folder.hpp"
#include "train/same_settings.hpp"

namespace vlalign {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

constexpr auto latest_file = "checkpoints/latest", best_file = "checkpoints/best";
constexpr double told_wait_s = 5;
/// Metrics can't be appended to, so that long ones go up less often.
constexpr double bytes_each_time = 16 << 20;

struct OpenFile {
  std::string name;  ///< in the run folder
  std::unique_ptr<InputFile> file;
};

/// All of a folder, open before the first is uploaded: they stay readable where the folder is removed meanwhile. Those
/// that tell what is in the others, .json, come last.
std::vector<OpenFile> open_folder(const fs::path& run, const std::string& folder) {
  std::vector<OpenFile> files;
  for (const auto& path : entries_of(run / folder)) {
    const auto name = folder + "/" + path.filename().string();
    if (!is_folder(path)) {
      files.push_back({name, std::make_unique<InputFile>(path)});
    } else {
      auto inner = open_folder(run, name);
      std::move(inner.begin(), inner.end(), std::back_inserter(files));
    }
  }
  std::stable_partition(files.begin(), files.end(), [](const auto& file) { return !file.name.ends_with(".json"); });
  return files;
}

bool is_behind(const std::string& checkpoint, const std::string& other) {
  return step_of_checkpoint(checkpoint) < step_of_checkpoint(other);
}

/// What a run folder holds of a run.
struct OwnRun {
  bool begun = false;
  std::string newest{};  ///< checkpoint; empty where there is none
};

OwnRun own_run(const fs::path& run) {
  OwnRun own{.begun = is_there(run / "config.json")};
  if (!own.begun || !is_folder(run / "checkpoints")) return own;
  if (const auto newest = newest_checkpoint(run)) own.newest = newest->filename().string();
  return own;
}

json parsed_config(const MirroredRun& there, const std::string& name) {
  auto config = parse_json(*there.config, name);
  check(config.is_object(), "{}: expected an object, got {}", name, config.type_name());
  return config;
}

/// The name in a file of the run folder; empty where there is none.
std::string name_in(const fs::path& file) { return is_there(file) ? checkpoint_named(read_text(file)) : ""; }

}  // namespace

RunMirror::RunMirror(fs::path run, std::string url, double every_s)
    : run_(std::move(run)), url_(mirror_url(std::move(url))), every_s_(every_s) {}

RunMirror::~RunMirror() = default;  // the worker is stopped first

void RunMirror::prepare(const json& settings, bool resume) {
  const auto there = look_at_mirror(url_);
  OwnRun own;
  if (resume) own = own_run(run_);
  const auto now = json::parse(dump_readable(settings));
  if (there.config) {
    const auto name = url_of("config.json");
    check(resume, "{}: already holds a run; resume it (--resume) or choose another mirror", url_);
    check_mirrors_same_run(parsed_config(there, name), name, now, !own.newest.empty() || !there.latest.empty());
  }
  // One that may not be written is known before anything is fetched, or computed.
  upload_text(url_of(".vlalign-mirror"), "A mirror of a run folder of vlalign.\n");
  latest_there_ = there.latest;
  if (there.latest.empty()) return;
  if (own.newest.empty()) {
    if (own.begun) check_same_settings(run_ / "config.json", now, /*has_checkpoint=*/true);
    fetch_run(there, run_);
  } else if (is_behind(own.newest, there.latest)) {
    log_warning("{}: goes on from its own {}, though {} has {}; to go on from there, move the run folder away",
                run_.string(), own.newest, url_, there.latest);
  }
}

void RunMirror::begin() {
  fresh_ = true;
  worker_ = std::jthread([this](const std::stop_token& stop) { work(stop); });
}

void RunMirror::checkpoint_written() {
  const std::lock_guard lock(mutex_);
  fresh_ = true;
  changed_.notify_all();
}

std::string RunMirror::finish(bool over) {
  std::unique_lock lock(mutex_);
  over_ = over;
  closing_ = true;
  changed_.notify_all();
  const auto done = [this] { return done_; };
  if (!changed_.wait_for(lock, std::chrono::duration<double>(told_wait_s), done)) {
    log_info("{}: the run is done and is still being uploaded", url_);
    changed_.wait(lock, done);
    if (fault_.empty()) log_info("{}: all is up", url_);
  }
  return fault_;
}

void RunMirror::work(const std::stop_token& stop) {
  for (bool more = true; more;) {
    more = wait(stop);
    if (stop.stop_requested()) return;
    attempt(stop, !more);
  }
  const std::lock_guard lock(mutex_);
  done_ = true;
  changed_.notify_all();
}

bool RunMirror::wait(const std::stop_token& stop) {
  const auto metrics = sizes_.find("metrics.jsonl");
  const auto size = metrics == sizes_.end() ? 0. : static_cast<double>(metrics->second);
  const std::chrono::duration<double> longest(every_s_ * (1 + size / bytes_each_time));
  std::unique_lock lock(mutex_);
  changed_.wait_for(lock, stop, longest, [this] { return fresh_ || closing_; });
  fresh_ = false;
  return !closing_;
}

/// Never throws: the run goes on.
void RunMirror::attempt(const std::stop_token& stop, bool last) {
  std::string fault;
  try {
    upload_state(stop, last);
  } catch (const StoppedTransfer&) {
    return;
  } catch (const std::exception& error) {
    fault = error.what();
  }
  if (fault.empty() && told_) log_info("{}: is up to date again", url_);
  if (!fault.empty() && !last && told_ != tried_)
    log_warning("{}: the mirror isn't up to date: {}; the run goes on, and it is tried again", url_, fault);
  told_ = fault.empty() ? std::nullopt : std::optional(tried_);
  fault_ = std::move(fault);
}

void RunMirror::upload_state(const std::stop_token& stop, bool last) {
  const auto checkpoint = tried_ = newest();
  // One that the mirror names already is this run's, from the same step, and never replaced: somebody may read it.
  const bool is_new = !checkpoint.empty() && checkpoint != latest_there_;
  const bool goes_back = is_new && is_behind(checkpoint, latest_there_);
  const auto name_it = [&] {
    upload_text(url_of(latest_file), checkpoint + "\n", stop);
    latest_there_ = checkpoint;
    up_.clear();
  };
  if (is_new) upload_folder("checkpoints/" + checkpoint, stop);
  if (goes_back) name_it();  // the metrics there must reach the checkpoint that is named
  upload_grown("config.json", read_file(run_ / "config.json"), stop);
  if (is_there(run_ / "recipe.json")) upload_grown("recipe.json", read_file(run_ / "recipe.json"), stop);
  upload_logs(stop);
  if (is_new || last) upload_events(stop);
  upload_best(stop);
  if (is_new && !goes_back) name_it();
  if (!last || !over_) return;
  for (const auto* model : {"model-ema", "model"})
    if (is_there(run_ / model)) upload_folder(model, stop);
}

/// Where an attempt before this one failed, what is left of it.
void RunMirror::upload_folder(const std::string& name, const std::stop_token& stop) {
  for (const auto& [path, file] : open_folder(run_, name)) {
    if (up_.contains(path)) continue;
    upload(url_of(path), *file, stop);
    up_.insert(path);
  }
}

/// Up to their last whole lines.
void RunMirror::upload_logs(const std::stop_token& stop) {
  for (const auto* name : run_logs) {
    if (!is_there(run_ / name)) continue;
    auto text = read_file(run_ / name, any_size);
    text.resize(text.rfind('\n') + 1);  // to nothing where there is none
    upload_grown(name, text, stop);
  }
}

/// The best checkpoint stays there until there is a better one, whatever the run folder keeps.
void RunMirror::upload_best(const std::stop_token& stop) {
  const auto best = name_in(run_ / best_file);
  if (best.empty() || best == best_there_ || !is_folder(run_ / "checkpoints" / best)) return;
  upload_folder("checkpoints/" + best, stop);
  upload_text(url_of(best_file), best + "\n", stop);
  best_there_ = best;
}

void RunMirror::upload_events(const std::stop_token& stop) {
  for (const auto& path : entries_of(run_)) {
    const auto name = path.filename().string();
    if (name.starts_with("events.out.tfevents.") && !is_folder(path))
      upload_grown(name, read_file(path, any_size), stop);
  }
}

/// Of a file that only ever grows: nothing is sent where it hasn't.
void RunMirror::upload_grown(const std::string& name, const std::string& text, const std::stop_token& stop) {
  const auto there = sizes_.find(name);
  if (there != sizes_.end() && there->second == text.size()) return;
  upload_text(url_of(name), text, stop);
  sizes_[name] = text.size();
}

/// The checkpoint that the run folder names.
std::string RunMirror::newest() const { return name_in(run_ / latest_file); }

void add_to_mirror(const std::string& mirror, const fs::path& run, const std::vector<std::string>& names) {
  const auto url = mirror_url(mirror);
  try {
    for (const auto& name : names)
      if (is_there(run / name)) upload(fmt::format("{}/{}", url, name), run / name);
  } catch (const Error& error) {
    fail("{}: the mirror isn't whole: {}; the run is, in {}: the same with --resume uploads what is missing", url,
         error.what(), run.string());
  }
}

}  // namespace vlalign
