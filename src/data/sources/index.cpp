#include "vlalign/data/sources/index.hpp"

#include <algorithm>

#include "core/check.hpp"
#include "core/foreign_errors.hpp"
#include "core/io/files.hpp"
#include "core/io/place.hpp"
#include "data/sources/bad_records.hpp"
#include "data/sources/find_index.hpp"
#include "data/sources/locations.hpp"
#include "data/sources/shard_records.hpp"
#include "data/sources/shard_wanted.hpp"
#include "remote/remote_file.hpp"

namespace vlalign {
namespace {

namespace fs = std::filesystem;

std::vector<std::string> shards_of(std::string_view location) {
  std::vector<std::string> shards;
  for (const auto& part : expand_location(location)) {
    check(part.weight == 1.0, "{}: an index has no weights; give them where it is used", location);
    shards.insert(shards.end(), part.places.begin(), part.places.end());
  }
  for (const auto& shard : shards)
    if (!is_pipe(shard)) check_shard(shard, "webdataset shards to index");
  return shards;
}

fs::path file_for(const std::vector<std::string>& shards, const fs::path& out) {
  if (!out.empty()) return out;
  check(!is_remote(shards.front()) && !is_pipe(shards.front()),
        "{}: an index can't be written beside it; name a file for it (--out), and put it beside the shards yourself",
        shards.front());
  return beside(shards.front(), index_name);
}

/// An index, or nothing.
std::string misfit_of(const fs::path& file) {
  try {
    if (is_index(read_text(file))) return {};
  } catch (const Error&) {  // no text
  }
  return "is no index of shards";
}

}  // namespace

IndexSummary index_pairs(std::string_view location, const IndexOptions& options) {
  check(!location.empty(), "[index_pairs] no location given");
  return without_foreign_errors(location, [&] {
    const auto shards = shards_of(location);
    const auto file = file_for(shards, options.out);
    check_file_place(file, {.kind = "an index of shards", .misfit = misfit_of});
    auto wanted = shards_wanted(options.pairs);
    wanted.contents = true;
    ShardFiles files(cache_options(options.pairs));
    const auto index = index_shards(shards, files, wanted, options.progress);
    BadRecords bad;
    for (const auto& fault : index.faults) bad.add(fault);
    bad.add_unnamed(index.bad() - bad.size());
    bad.check_share(fmt::format("{}:", location), index.records() + index.bad(), options.pairs.max_bad);
    write_index(index, file);
    return IndexSummary{std::ssize(index.shards), index.records(), index.bad(), index.bytes(), file};
  });
}

}  // namespace vlalign
