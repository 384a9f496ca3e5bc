#include "vlalign/data/sources/pairs.hpp"

#include <algorithm>
#include <filesystem>
#include <iterator>

#include "core/check.hpp"
#include "core/foreign_errors.hpp"
#include "core/io/files.hpp"
#include "core/log.hpp"
#include "data/sources/checked_source.hpp"
#include "data/sources/joined_pairs.hpp"
#include "data/sources/locations.hpp"
#include "data/sources/shard_pairs.hpp"
#include "data/sources/shard_records.hpp"
#include "data/sources/table_pairs.hpp"

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

/// Shards that stand side by side are one source.
std::shared_ptr<const PairSource> open_all(const std::vector<fs::path>& places, const PairOptions& options) {
  std::vector<std::shared_ptr<const PairSource>> sources;
  for (auto at = places.begin(); at != places.end();) {
    if (is_folder(*at)) {
      sources.push_back(open_folder(*at++, options));
    } else if (is_table(*at)) {
      sources.push_back(open_table(*at++, options));
    } else {
      check_shard(*at, "a .tsv, .csv or .jsonl, a folder with metadata.jsonl or metadata.csv");
      const auto end = std::find_if_not(at, places.end(), is_shard);
      sources.push_back(open_shards({at, end}, options.max_bad));
      at = end;
    }
  }
  return joined(std::move(sources));
}

}  // namespace

std::vector<std::string> all_captions(const std::shared_ptr<const PairSource>& source) {
  const auto& pairs = checked_source(source, "[all_captions] pairs");
  std::vector<std::string> all;
  for (std::int64_t i = 0; i < pairs.size(); ++i) {
    auto captions = pairs.captions(i);
    std::move(captions.begin(), captions.end(), std::back_inserter(all));
  }
  return all;
}

std::shared_ptr<const PairSource> open_pairs(std::string_view location, const PairOptions& options) {
  check(!location.empty(), "[open_pairs] no location given");
  check(options.max_bad >= 0.0 && options.max_bad <= 1.0, "[open_pairs] max_bad: expected 0 to 1, got {}",
        options.max_bad);
  return without_foreign_errors(location, [&] { return open_all(expand_location(location), options); });
}

}  // namespace vlalign
