#include "train/mirrored_run.hpp"

#include <algorithm>
#include <set>
#include <string_view>
#include <utility>
#include <vector>

#include "core/check.hpp"
#include "core/io/files.hpp"
#include "core/io/partial.hpp"
#include "core/log.hpp"
#include "remote/bucket.hpp"
#include "remote/download.hpp"
#include "remote/remote_error.hpp"
#include "train/run_folder.hpp"

namespace vlalign {
namespace {

namespace fs = std::filesystem;

constexpr std::int64_t most_config_bytes = 64 << 20;
constexpr std::int64_t most_name_bytes = 1000;

/// None where nothing is. That it may not be looked at is an Error: what is there would be replaced.
std::optional<std::string> read_if_there(const std::string& url, std::int64_t most_bytes) {
  try {
    return read_remote(url, most_bytes);
  } catch (const RemoteError& error) {
    const bool no_bucket = std::string_view(error.what()).find("NoSuchBucket") != std::string_view::npos;
    if (error.status() != 404 || no_bucket) throw;
    return std::nullopt;
  }
}

/// Of an object below a folder, as a path in it. Throws Error for what would lead elsewhere.
fs::path path_below(const std::string& folder, const std::string& url) {
  fs::path path = url.substr(folder.size());
  const bool plain = std::all_of(path.begin(), path.end(),
                                 [](const auto& part) { return !part.empty() && part != "." && part != ".."; });
  check(!path.empty() && path.is_relative() && plain, "{}: its name is none of a file below {}", url, folder);
  return path;
}

void fetch_file(const std::string& url, const fs::path& file) {
  fs::create_directories(file.parent_path());
  write_file_atomically(file, [&](const auto& write) {
    download(url, [&](auto bytes) { write({reinterpret_cast<const char*>(bytes.data()), bytes.size()}); });
  });
}

void fetch_checkpoint(const MirroredRun& mirrored, const std::string& name, const fs::path& place) {
  const auto from = fmt::format("{}/checkpoints/{}/", mirrored.url, name);
  const auto urls = list_remote(from);
  for (const auto* needed : {"trainer.json", "trainer.safetensors"}) {
    check(std::binary_search(urls.begin(), urls.end(), from + needed),
          "{}{}: is missing; {}/checkpoints/latest should name a whole checkpoint", from, needed, mirrored.url);
  }
  for (const auto& url : urls) fetch_file(url, place / path_below(from, url));
}

/// Beside config.json: what a run tells of its steps.
void fetch_logs(const MirroredRun& mirrored, const fs::path& place) {
  const auto all = mirrored.url + "/";
  auto urls = list_remote(all + "events.out.tfevents.");
  std::erase_if(urls, [&](const auto& url) { return url.find('/', all.size()) != url.npos; });
  std::vector<std::string> names{"recipe.json"};
  names.insert(names.end(), run_logs.begin(), run_logs.end());
  for (const auto& name : names) {
    const auto found = list_remote(all + name);
    if (!found.empty() && found.front() == all + name) urls.push_back(found.front());
  }
  for (const auto& url : urls) fetch_file(url, place / path_below(all, url));
}

/// config.json is the first to have its name: from there on the folder is a run's.
void move_into(const fs::path& run, const fs::path& fetched, const std::set<std::string>& checkpoints,
               const std::string& latest) {
  fs::rename(fetched / "config.json", run / "config.json");
  for (const auto& path : entries_of(fetched))
    if (!is_folder(path)) fs::rename(path, run / path.filename());
  fs::create_directories(run / "checkpoints");
  for (const auto& checkpoint : checkpoints) fs::rename(fetched / checkpoint, run / "checkpoints" / checkpoint);
  sync_folder(run / "checkpoints");
  write_file_atomically(run / "checkpoints" / "latest", latest + "\n");
  sync_folder(run);
}

}  // namespace

std::string mirror_url(std::string option) {
  while (option.ends_with('/')) option.pop_back();
  return option;
}

MirroredRun look_at_mirror(const std::string& url) {
  MirroredRun found{.url = url, .config = read_if_there(url + "/config.json", most_config_bytes), .latest = {}};
  const auto latest = url + "/checkpoints/latest";
  const auto text = read_if_there(latest, most_name_bytes);
  if (!text) return found;
  found.latest = checkpoint_named(*text);
  check(step_of_checkpoint(found.latest).has_value(), "{}: names \"{}\", which is no checkpoint; choose another mirror",
        latest, found.latest);
  check(found.config.has_value(), "{}: there are checkpoints without a config.json; choose another mirror", url);
  return found;
}

void fetch_run(const MirroredRun& mirrored, const fs::path& run) {
  try {
    fs::create_directories(run);
    const FolderLock lock(run);
    if (!is_there(run / "config.json")) check_holds_nothing(run);
    log_info("{}: fetches {} of {}", run.string(), mirrored.latest, mirrored.url);
    const Partial partial(run / "mirror", fs::file_type::directory);
    const auto& place = partial.path();
    write_file_atomically(place / "config.json", mirrored.config.value());
    fetch_logs(mirrored, place);
    std::set<std::string> checkpoints{mirrored.latest};
    const auto best = checkpoint_named(read_if_there(mirrored.url + "/checkpoints/best", most_name_bytes).value_or(""));
    if (step_of_checkpoint(best)) checkpoints.insert(best);
    for (const auto& name : checkpoints) fetch_checkpoint(mirrored, name, place / name);
    move_into(run, place, checkpoints, mirrored.latest);
  } catch (const fs::filesystem_error& error) {
    fail("{}: cannot write: {}", run.string(), error.what());
  }
}

}  // namespace vlalign
