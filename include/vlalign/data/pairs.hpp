#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace vlalign {

/// One record: an encoded picture and its captions (at least one).
struct Pair {
  std::string name;  ///< for people: a path, or shard.tar:key
  std::vector<std::string> captions;
  std::vector<std::byte> image;
};

/// A data set of image-text pairs with random access. Reading is safe from several threads.
class PairSource {
 public:
  virtual ~PairSource() = default;
  virtual std::int64_t size() const = 0;
  virtual std::string name(std::int64_t index) const = 0;                   ///< Pair::name without reading the picture
  virtual std::vector<std::string> captions(std::int64_t index) const = 0;  ///< without reading the picture
  virtual Pair read(std::int64_t index) const = 0;                          ///< throws Error naming the record
};

/// Every caption of every record, in the source's order: what a vocabulary is trained on.
std::vector<std::string> all_captions(const PairSource& pairs);

/// Column names of a table of pairs; open_clip's defaults.
struct PairOptions {
  std::string image_key = "filepath";
  std::string caption_key = "title";
};

/// Opens a data set: a .tsv or .csv (header, or two columns: path, caption), a .jsonl or a folder with metadata.jsonl
/// or metadata.csv ("file_name", "text": a string or a list of captions), or webdataset tar shards (.tar, .tar.gz,
/// .tar.zst, .tgz; brace ranges like shards/{000..031}.tar are expanded). Relative image paths are relative to the
/// file. Throws Error with file and line for a malformed record, for an empty data set, or for a location that isn't
/// there.
std::shared_ptr<const PairSource> open_pairs(std::string_view location, const PairOptions& options = {});

}  // namespace vlalign
