#include "vlalign/data/sources/pairs.hpp"

#include <algorithm>
#include <filesystem>
#include <iterator>
#include <vector>

#include "core/ascii.hpp"
#include "core/check.hpp"
#include "core/foreign_errors.hpp"
#include "core/io/files.hpp"
#include "core/log.hpp"
#include "data/sources/checked_source.hpp"
#include "data/sources/joined_pairs.hpp"
#include "data/sources/locations.hpp"
#include "data/sources/sampled_ranges.hpp"
#include "data/sources/shard_pairs.hpp"
#include "data/sources/shard_records.hpp"
#include "data/sources/table_pairs.hpp"
#include "remote/download.hpp"
#include "remote/remote_file.hpp"

namespace vlalign {
namespace {

namespace fs = std::filesystem;

constexpr auto shard_range = "{000..031}.tar";

/// Whether there is a file; one that can't be looked at, such as a link to itself, costs a warning.
bool is_file_to_read(const fs::path& file) {
  try {
    return is_there(file);
  } catch (const Error& error) {
    log_warning("{}", error.what());
    return false;
  }
}

std::shared_ptr<const PairSource> open_folder(const fs::path& folder, const PairOptions& options) {
  for (const auto* name : {"metadata.jsonl", "metadata.csv"}) {
    if (is_file_to_read(folder / name)) return open_table(folder / name, options);
  }
  fail("{}: a folder of pairs needs a metadata.jsonl or metadata.csv; shards are named as {} or {}", folder.string(),
       (folder / shard_range).string(), (folder / "*.tar").string());
}

bool is_index(const std::string& place) { return lower(place).ends_with(".json"); }

std::shared_ptr<const PairSource> open_index_at(const std::string& place, const PairOptions& options) {
  constexpr std::int64_t most_bytes = std::int64_t{1} << 30;
  auto index = open_index(is_remote(place) ? read_remote(place, most_bytes) : read_text(place), place, options);
  check(index != nullptr, "{}: is no index of shards: expected what `vlalign index` writes, wids or sizes.json", place);
  return index;
}

bool is_any_shard(const std::string& place) {
  return is_pipe(place) || (is_shard(place) && (is_remote(place) || !is_folder(place)));
}

/// What isn't a shard.
std::shared_ptr<const PairSource> open_one(const std::string& place, const PairOptions& options) {
  if (is_index(place)) return open_index_at(place, options);
  if (!is_remote(place) && is_folder(place)) return open_folder(place, options);
  if (!is_remote(place) && is_table(place)) return open_table(place, options);
  check_shard(place, is_remote(place) ? "an index of shards (.json)"
                                      : "a .tsv, .csv or .jsonl, a folder with metadata.jsonl or metadata.csv");
  fail("{}: is a folder", place);
}

/// Shards that stand side by side are one source.
void open_part(const NamedPart& part, const PairOptions& options, std::vector<WeightedPairs>& sources) {
  for (auto at = part.places.begin(); at != part.places.end();) {
    const auto end = std::find_if_not(at, part.places.end(), is_any_shard);
    if (end == at) {
      sources.push_back({open_one(*at++, options), part.weight});
    } else {
      sources.push_back({open_shards({at, end}, options), part.weight});
      at = end;
    }
  }
}

/// Parts of one weight that stand side by side are opened as one: so their shards are one source too.
std::shared_ptr<const PairSource> open_all(const std::vector<NamedPart>& parts, const PairOptions& options) {
  std::vector<WeightedPairs> sources;
  for (auto at = parts.begin(); at != parts.end();) {
    NamedPart together{.places = {}, .weight = at->weight};
    for (; at != parts.end() && at->weight == together.weight; ++at)
      together.places.insert(together.places.end(), at->places.begin(), at->places.end());
    open_part(together, options, sources);
  }
  return joined(std::move(sources));
}

}  // namespace

std::string PairSource::draw_caption(std::int64_t index, Rng& rng) const {
  auto all = captions(index);
  if (all.empty()) fail("{}: the source gives no caption", name(index));
  return std::move(all[static_cast<std::size_t>(rng.below(std::ssize(all)))]);
}

std::vector<std::string> all_captions(const std::shared_ptr<const PairSource>& source) {
  constexpr std::int64_t most_records = 1'000'000, far = 1024;
  const auto& pairs = checked_source(source, "[all_captions] pairs");
  std::vector<std::string> all;
  std::string fault;
  const auto ranges = sampled_ranges(pairs, most_records);
  expect_runs(pairs, ranges);
  for (const auto& [begin, end] : ranges) {
    for (auto i = begin; i < end; ++i) {
      if ((i - begin) % far == 0) read_ahead(pairs, {i, std::min(end, i + 2 * far)});
      try {
        auto captions = pairs.captions(i);
        std::move(captions.begin(), captions.end(), std::back_inserter(all));
      } catch (const Error& error) {  // a bad record, which is counted where it is trained on
        if (fault.empty()) fault = error.what();
      }
    }
  }
  check(!all.empty() || fault.empty(), "[all_captions] no caption could be read; the first fault: {}", fault);
  return all;
}

std::shared_ptr<const PairSource> open_pairs(std::string_view location, const PairOptions& options) {
  check(!location.empty(), "[open_pairs] no location given");
  check(options.max_bad >= 0.0 && options.max_bad <= 1.0, "[open_pairs] max_bad: expected 0 to 1, got {}",
        options.max_bad);
  return without_foreign_errors(location, [&] { return open_all(expand_location(location), options); });
}

}  // namespace vlalign
