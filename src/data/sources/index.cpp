#include "vlalign/data/sources/index.hpp"

#include <algorithm>
#include <optional>

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
  for (const auto& shard : shards) {
    check(!is_pipe(shard), "{}: the output of a command can't be indexed; write it into a file", shard);
    check_shard(shard, "webdataset shards to index");
  }
  return shards;
}

fs::path file_for(const std::vector<std::string>& shards, const fs::path& out) {
  check(!is_remote(out.string()), "{}: an index is written to this machine; copy it there yourself", out.string());
  if (!out.empty()) return out;
  const auto file = beside(shards.front(), index_name);
  const bool one_folder =
      std::all_of(shards.begin(), shards.end(), [&](const auto& shard) { return beside(shard, index_name) == file; });
  check(one_folder, "the shards lie in several folders: name a file for the index (--out)");
  check(!is_remote(shards.front()),
        "{}: an index can't be written beside it; name a file for it (--out), and put it beside the shards yourself",
        shards.front());
  return file;
}

/// An index is made again with the same shards or more, never by mistake with fewer.
void check_no_other_shards(const fs::path& file, const std::vector<std::string>& shards) {
  std::error_code ignored;
  if (!fs::is_regular_file(file, ignored) || fs::is_empty(file, ignored)) return;
  std::optional<ShardIndex> before;
  try {
    before = parse_index(read_text(file), file.string());
  } catch (const Error&) {  // damaged
  }
  if (!before) return;
  const auto is_other = [&](const auto& shard) {
    return std::none_of(shards.begin(), shards.end(), [&](const auto& one) {
      return one == shard.name || fs::absolute(one).lexically_normal() == fs::absolute(shard.name).lexically_normal();
    });
  };
  const auto others = std::count_if(before->shards.begin(), before->shards.end(), is_other);
  check(others == 0, "{}: is an index of {} shards that aren't among these; name another file (--out), or delete it",
        file.string(), others);
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
    check_no_other_shards(file, shards);
    auto wanted = shards_wanted(options.pairs);
    wanted.contents = true;
    ShardFiles files(cache_options(options.pairs));
    const auto index = index_shards(shards, files, wanted, options.progress);
    BadRecords bad;
    for (const auto& fault : index.faults) bad.add(fault);
    bad.add_unnamed(index.bad() - bad.size());
    bad.check_share(fmt::format("{}:", location), index.records() + index.bad(), options.pairs.max_bad);
    check(index.records() > 0, "{}: no records to index{}", location,
          index.wanted.empty() ? "" : "; none is taken: " + index.wanted);
    write_index(index, file);
    return IndexSummary{std::ssize(index.shards), index.records(), index.bad(), index.bytes(), file};
  });
}

}  // namespace vlalign
