#include "data/sources/lerobot/lerobot_episodes.hpp"

#include <ATen/ops/empty.h>

#include <algorithm>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "core/check.hpp"
#include "core/io/files.hpp"
#include "core/io/input_file.hpp"
#include "core/json/json_section.hpp"
#include "core/json/parse_json.hpp"
#include "core/naming.hpp"
#include "data/sources/lerobot/parquet_file.hpp"
#include "data/sources/lerobot/reader_pool.hpp"
#include "data/sources/lerobot/video.hpp"

namespace vlalign {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

std::size_t at(std::int64_t i) { return static_cast<std::size_t>(i); }

// meta/info.json

struct Camera {
  std::string key;
  bool is_video;
};

struct Info {
  int version;  // 2 or 3
  double fps;
  Camera camera;
  std::string video_path;        // with {fields} to be filled in
  std::int64_t chunks_size = 0;  // episodes in a folder, version 2
};

bool is_depth(const json& feature) {
  for (const auto* place : {"info", "video_info"}) {
    if (!feature.contains(place) || !feature[place].is_object()) continue;
    for (const auto* key : {"is_depth_map", "video.is_depth_map"}) {
      if (feature[place].value(key, false)) return true;
    }
  }
  return false;
}

Camera choose_camera(const json& features, const std::string& wanted) {
  std::map<std::string, Camera> cameras;
  for (const auto& [key, feature] : features.items()) {
    const auto& type = feature.at("dtype").get_ref<const std::string&>();
    if ((type == "video" || type == "image") && !is_depth(feature)) cameras[key] = {key, type == "video"};
  }
  check(!cameras.empty(), "expected a feature of dtype \"video\" or \"image\"");
  if (wanted.empty()) return cameras.begin()->second;
  std::vector<std::string> names;
  for (const auto& [key, camera] : cameras) names.push_back(key);
  check(cameras.contains(wanted), "no camera \"{}\"; expected one of {}", wanted, fmt::join(names, ", "));
  return cameras[wanted];
}

/// A whole number under a key.
std::int64_t whole(const json& object, const char* key, const std::string& where) {
  return JsonSection(object, where).require<std::int64_t>(key);
}

Info read_info(const fs::path& folder, const std::string& camera) {
  const auto path = folder / "meta/info.json";
  const auto info = parse_json(read_file(path), path.string());
  return naming(path.string(), [&] {
    const auto version = info.at("codebase_version").get<std::string>();
    check(version.starts_with("v2.") || version == "v3.0", "expected codebase_version v2.0, v2.1 or v3.0, got {}",
          version);
    Info read{version[1] - '0', info.at("fps").get<double>(), choose_camera(info.at("features"), camera), "", 0};
    check(read.fps > 0, "expected fps greater than 0, got {}", read.fps);
    if (read.camera.is_video) read.video_path = info.at("video_path").get<std::string>();
    if (read.version == 2) read.chunks_size = whole(info, "chunks_size", "info");
    check(read.version == 3 || read.chunks_size > 0, "expected chunks_size greater than 0");
    return read;
  });
}

/// What the fields of a path may be called.
struct PathFields {
  std::int64_t episode = 0, episode_chunk = 0, chunk = 0, file = 0;
};

/// Whether a field asks for no more characters than a name may have: the pattern may be anybody's.
bool is_modest(std::string_view pattern) {
  constexpr int most_digits = 2;
  int depth = 0, digits = 0;
  for (const char c : pattern) {
    depth += c == '{' ? 1 : c == '}' ? -1 : 0;
    digits = c >= '0' && c <= '9' ? digits + 1 : 0;
    if (depth > 1 || (depth == 1 && digits > most_digits)) return false;
  }
  return true;
}

/// Python's format strings for integers are fmt's too.
fs::path fill_path(const std::string& pattern, const std::string& camera, const PathFields& fields) {
  check(is_modest(pattern), "meta/info.json: cannot fill in \"{}\"", pattern);
  try {
    return fmt::format(fmt::runtime(pattern), fmt::arg("video_key", camera), fmt::arg("episode_index", fields.episode),
                       fmt::arg("episode_chunk", fields.episode_chunk), fmt::arg("chunk_index", fields.chunk),
                       fmt::arg("file_index", fields.file));
  } catch (const fmt::format_error& error) {
    fail("meta/info.json: cannot fill in \"{}\": {}", pattern, error.what());
  }
}

// The tables in meta/

/// Calls function(object) for each line.
template <typename Function>
void for_each_line(const fs::path& path, Function function) {
  auto file = open_text(path);
  std::string line;
  for (std::int64_t number = 1; std::getline(file, line); ++number) {
    const auto where = fmt::format("{}:{}", path.string(), number);
    naming(where, [&] { function(parse_json(line, where)); });
  }
  check(!file.bad(), "{}: cannot read all of it", path.string());
}

std::vector<fs::path> parquet_files(const fs::path& folder) {
  std::vector<fs::path> files;
  check(is_folder(folder), "{}: no such folder", folder.string());
  for (const auto& entry : fs::recursive_directory_iterator(folder)) {
    if (entry.path().extension() == ".parquet") files.push_back(entry.path());
  }
  std::sort(files.begin(), files.end());
  return files;
}

using Tasks = std::map<std::int64_t, std::string>;

Tasks read_tasks(const fs::path& folder, const Info& info) {
  Tasks tasks;
  if (info.version == 2) {
    for_each_line(folder / "meta/tasks.jsonl", [&](const json& line) {
      tasks[whole(line, "task_index", "task")] = line.at("task").get<std::string>();
    });
    return tasks;
  }
  const ParquetFile file(folder / "meta/tasks.parquet");
  const auto numbers = file.integers("task_index");
  // pandas calls an index without a name so.
  const auto texts = file.strings(file.has("task") ? "task" : "__index_level_0__");
  for (std::size_t i = 0; i < numbers.size(); ++i) tasks[numbers[i]] = texts[i];
  return tasks;
}

/// Where an episode's video is.
struct Span {
  std::int64_t length = 0;
  fs::path video;
  double start_s = 0.0;
};
using Spans = std::map<std::int64_t, Span>;  // by episode_index

Spans read_spans_v2(const fs::path& folder, const Info& info) {
  Spans spans;
  for_each_line(folder / "meta/episodes.jsonl", [&](const json& line) {
    const auto episode = whole(line, "episode_index", "episode");
    auto& span = spans[episode];
    span.length = whole(line, "length", "episode");
    if (!info.camera.is_video) return;
    const PathFields fields{.episode = episode, .episode_chunk = episode / info.chunks_size};
    span.video = folder / fill_path(info.video_path, info.camera.key, fields);
  });
  return spans;
}

Spans read_spans_v3(const fs::path& folder, const Info& info) {
  Spans spans;
  for (const auto& path : parquet_files(folder / "meta/episodes")) {
    const ParquetFile file(path);
    const auto episodes = file.integers("episode_index");
    const auto lengths = file.integers("length");
    for (std::size_t i = 0; i < episodes.size(); ++i) spans[episodes[i]].length = lengths[i];
    if (!info.camera.is_video) continue;
    const auto prefix = "videos/" + info.camera.key;
    const auto chunks = file.integers(prefix + "/chunk_index");
    const auto files = file.integers(prefix + "/file_index");
    const auto starts = file.numbers(prefix + "/from_timestamp");
    for (std::size_t i = 0; i < episodes.size(); ++i) {
      auto& span = spans[episodes[i]];
      span.video = folder / fill_path(info.video_path, info.camera.key, {.chunk = chunks[i], .file = files[i]});
      span.start_s = starts[i];
    }
  }
  return spans;
}

// The steps in data/

/// Where the frames of an episode are.
struct Frames {
  fs::path file;               // a video, or the table the pictures are in
  std::vector<double> times;   // [T], of a video's
  std::int64_t first_row = 0;  // of a table's
};

/// A file of steps: an episode's lie together, in their order.
struct StepTable {
  fs::path path;
  std::vector<std::int64_t> episodes, steps, tasks;
  std::vector<double> times;
  ParquetFile::Matrix states, actions;

  explicit StepTable(const fs::path& from) : path(from) {
    const ParquetFile file(path);
    episodes = file.integers("episode_index");
    steps = file.integers("frame_index");
    tasks = file.integers("task_index");
    times = file.numbers("timestamp");
    if (file.has("observation.state")) states = file.matrix("observation.state");
    actions = file.matrix("action");
    check(actions.width != 0, "{}: expected at least one number in column \"action\"", path.string());
  }

  std::int64_t rows() const { return static_cast<std::int64_t>(episodes.size()); }

  /// The row behind the episode's last. Throws Error unless its steps are 0, 1, ... and have one task.
  std::int64_t end_of_episode(std::int64_t first) const {
    auto row = first;
    for (; row < rows() && episodes[at(row)] == episodes[at(first)]; ++row) {
      check(steps[at(row)] == row - first, "{}: row {}: expected frame_index {} of episode {}, got {}", path.string(),
            row, row - first, episodes[at(row)], steps[at(row)]);
      check(tasks[at(row)] == tasks[at(first)],
            "{}: row {}: episode {} goes on with another task; split it where the task changes", path.string(), row,
            episodes[at(row)]);
    }
    return row;
  }
};

at::Tensor cut(const ParquetFile::Matrix& matrix, std::int64_t first, std::int64_t end) {
  auto rows = at::empty({end - first, matrix.width}, at::kFloat);
  std::copy_n(matrix.values.begin() + first * matrix.width, rows.numel(), rows.mutable_data_ptr<float>());
  return rows;
}

class LerobotEpisodes : public EpisodeSource {
 public:
  LerobotEpisodes(const fs::path& folder, const EpisodeOptions& options) : info_(read_info(folder, options.camera)) {
    const auto tasks = read_tasks(folder, info_);
    const auto spans = info_.version == 2 ? read_spans_v2(folder, info_) : read_spans_v3(folder, info_);
    std::map<std::int64_t, std::size_t> order;
    for (const auto& path : parquet_files(folder / "data")) add_table(StepTable(path), tasks, spans, order);
    for (const auto& [episode, span] : spans) {
      check(order.contains(episode), "{}: no file in data/ has the steps of episode {}", folder.string(), episode);
    }
    check(!order.empty(), "{}: no demonstrations in it", folder.string());
    sort(order);
  }

  std::int64_t size() const override { return static_cast<std::int64_t>(episodes_.size()); }
  const Episode& episode(std::int64_t index) const override {
    check(index >= 0 && index < size(), "[episodes] episode {}: expected 0 to {}", index, size() - 1);
    return episodes_[at(index)];
  }
  Image frame(std::int64_t index, std::int64_t step, PixelsAs as) const override {
    const auto& [name, instructions, states, actions] = episode(index);
    const auto steps = actions.size(0);
    check(step >= 0 && step < steps, "[episodes] step {} of episode {}: expected 0 to {}", step, index, steps - 1);
    const auto& frames = frames_[at(index)];
    const auto where = fmt::format("{}, step {}", name, step);
    return naming(where, [&] { return info_.camera.is_video ? video_frame(frames, step) : picture(frames, step, as); });
  }

 private:
  void add_table(const StepTable& table, const Tasks& tasks, const Spans& spans,
                 std::map<std::int64_t, std::size_t>& order) {
    for (std::int64_t first = 0, end = 0; first < table.rows(); first = end) {
      end = table.end_of_episode(first);
      const auto number = table.episodes[at(first)];
      const auto where = fmt::format("{}: episode {}", table.path.string(), number);
      check(order.emplace(number, episodes_.size()).second, "{} is there twice", where);
      const auto task = tasks.find(table.tasks[at(first)]);
      check(task != tasks.end(), "{}: task_index {} isn't among meta/tasks", where, table.tasks[at(first)]);
      const auto span = spans.find(number);
      check(span != spans.end(), "{} isn't among meta/episodes", where);
      check(span->second.length == end - first, "{} has {} steps, {} of them in meta/episodes", where, end - first,
            span->second.length);
      add_episode(table, first, end, task->second, span->second);
    }
  }

  void add_episode(const StepTable& table, std::int64_t first, std::int64_t end, const std::string& task,
                   const Span& span) {
    const auto name = fmt::format("episode {}", table.episodes[at(first)]);
    auto states = cut(table.states, first, end), actions = cut(table.actions, first, end);
    if (!episodes_.empty()) {
      const auto& before = episodes_.front();
      check(states.size(1) == before.states.size(1) && actions.size(1) == before.actions.size(1),
            "{}: {}: expected states of {} and actions of {} numbers as before, got {} and {}", table.path.string(),
            name, before.states.size(1), before.actions.size(1), states.size(1), actions.size(1));
    }
    episodes_.push_back({name, {task}, std::move(states), std::move(actions)});
    Frames frames{info_.camera.is_video ? span.video : table.path, {}, first};
    if (info_.camera.is_video) {
      check(is_there(frames.file), "{}: no such file, but {} is in it", frames.file.string(), name);
      for (auto row = first; row < end; ++row) frames.times.push_back(span.start_s + table.times[at(row)]);
    }
    frames_.push_back(std::move(frames));
  }

  /// Files may have the episodes in another order.
  void sort(const std::map<std::int64_t, std::size_t>& order) {
    std::vector<Episode> episodes;
    std::vector<Frames> frames;
    for (const auto& [number, index] : order) {
      episodes.push_back(std::move(episodes_[index]));
      frames.push_back(std::move(frames_[index]));
    }
    episodes_ = std::move(episodes);
    frames_ = std::move(frames);
  }

  Image video_frame(const Frames& frames, std::int64_t step) const {
    const auto half_frame = 0.5 / info_.fps;
    return videos_.use(frames.file, [&](Video& video) { return video.frame(frames.times[at(step)], half_frame); });
  }

  Image picture(const Frames& frames, std::int64_t step, PixelsAs as) const {
    const auto bytes = tables_.use(
        frames.file, [&](ParquetFile& table) { return table.bytes(info_.camera.key, frames.first_row + step); });
    return decode_image(bytes, frames.file.string(), 0, as);
  }

  Info info_;
  std::vector<Episode> episodes_;
  std::vector<Frames> frames_;
  mutable ReaderPool<Video> videos_{16};
  mutable ReaderPool<ParquetFile> tables_{4};  // each holds a row group's pictures
};

}  // namespace
}  // namespace vlalign

void vlalign_open_lerobot_episodes(const std::filesystem::path& folder, const vlalign::EpisodeOptions& options,
                                   std::shared_ptr<const vlalign::EpisodeSource>& source) {
  source = std::make_shared<vlalign::LerobotEpisodes>(folder, options);
}
