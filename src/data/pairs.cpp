#include "vlalign/data/pairs.hpp"

#include <algorithm>
#include <filesystem>
#include <iterator>

#include "core/check.hpp"
#include "core/files.hpp"
#include "core/foreign_errors.hpp"
#include "data/shard_pairs.hpp"
#include "data/shard_records.hpp"
#include "data/table_pairs.hpp"

namespace vlalign {
namespace {

namespace fs = std::filesystem;

std::shared_ptr<const PairSource> open_folder(const fs::path& folder, const PairOptions& options) {
  for (const auto* name : {"metadata.jsonl", "metadata.csv"}) {
    if (is_there(folder / name)) return open_table(folder / name, options);
  }
  fail("{}: a folder of pairs needs a metadata.jsonl or metadata.csv; shards are named one by one or as {}",
       folder.string(), (folder / "{000..031}.tar").string());
}

std::shared_ptr<const PairSource> open_files(std::string_view location, const PairOptions& options) {
  const auto files = expand_files(location);
  if (files.size() == 1 && is_table(files.front())) return open_table(files.front(), options);
  check_shards(files, "a .tsv, .csv or .jsonl, a folder with metadata.jsonl or metadata.csv, or ");
  return open_shards(files);
}

}  // namespace

std::vector<std::string> all_captions(const PairSource& pairs) {
  std::vector<std::string> all;
  for (std::int64_t i = 0; i < pairs.size(); ++i) {
    auto captions = pairs.captions(i);
    std::move(captions.begin(), captions.end(), std::back_inserter(all));
  }
  return all;
}

std::shared_ptr<const PairSource> open_pairs(std::string_view location, const PairOptions& options) {
  check(!location.empty(), "[open_pairs] no location given");
  return without_foreign_errors(location, [&] {
    std::error_code ignored;  // a pattern may be longer than a name may be
    return fs::is_directory(location, ignored) ? open_folder(location, options) : open_files(location, options);
  });
}

}  // namespace vlalign
