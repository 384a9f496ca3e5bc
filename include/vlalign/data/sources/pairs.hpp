#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "vlalign/core/export.hpp"
#include "vlalign/core/random.hpp"

namespace vlalign {

/// One record: an encoded picture and its captions (at least one).
struct Pair {
  std::string name;  ///< for people: a path, or shard.tar:key
  std::vector<std::string> captions;
  std::vector<std::byte> image;
};

/// Records that lie together, such as those of a shard, and how many times an epoch holds each of them.
struct RecordRun {
  std::int64_t records = 0;
  double weight = 1.0;  ///< above 0; of 0.5 an epoch holds half of the records, and the next one the other half
};

/// A data set of image-text pairs with random access. Reading is safe from several threads. Functions take a source by
/// shared pointer, since those that read ahead keep it, and throw Error for a null one.
class VLALIGN_EXPORT PairSource {
 public:
  virtual ~PairSource() = default;
  virtual std::int64_t size() const = 0;
  virtual std::string name(std::int64_t index) const = 0;                   ///< Pair::name without reading the picture
  virtual std::vector<std::string> captions(std::int64_t index) const = 0;  ///< without reading the picture
  virtual Pair read(std::int64_t index) const = 0;                          ///< throws Error naming the record

  // What a source of its own may leave as it is.

  /// One of the captions, drawn for training: each with the same probability.
  virtual std::string draw_caption(std::int64_t index, Rng& rng) const;
  /// The runs that the records lie in, in their order. None: any order of reading costs the same, and a shuffled epoch
  /// mixes all records.
  virtual std::vector<RecordRun> runs() const { return {}; }
  /// Tells which runs are read next: those of these records, in this order. Doesn't wait.
  virtual void expect(std::span<const std::int64_t> indices) const { static_cast<void>(indices); }
  /// Tells which records are read next, so that they can be fetched ahead. Doesn't wait for them.
  virtual void read_ahead(std::span<const std::int64_t> indices) const { static_cast<void>(indices); }
  /// A short text that is the same for the same names and captions, wherever they lie. Empty: who needs one reads all.
  virtual std::string fingerprint() const { return {}; }
  /// Those that were left out when the source was opened and that have no index, "file:line: why".
  virtual std::vector<std::string> bad_records() const { return {}; }
};

/// What a vocabulary is trained on: every caption of every record, in the source's order; of more than a million
/// records those of a million, of a source with runs as many whole runs, spread evenly.
VLALIGN_EXPORT std::vector<std::string> all_captions(const std::shared_ptr<const PairSource>& pairs);

/// A field of records that holds captions, and how often a sample takes one of them.
struct CaptionKey {
  std::string key;
  /// Relative to the sum of all, whatever that is. A key of 0 is never drawn from, yet its captions are the record's.
  double probability = 1.0;
};

struct PairOptions {
  /// Column names of a table. Without them open_clip's, "filepath" and "title"; in a .jsonl or metadata file Hugging
  /// Face's, "file_name" and "text".
  std::optional<std::string> image_key{}, caption_key{};
  /// Between the columns of a .tsv or .csv. Without it the one that the header is written with: a tab or a comma by the
  /// file's ending, else a tab, a comma or a semicolon.
  std::optional<char> separator{};
  /// Opening fails when more than this share of a file's records (and at least 10) is bad.
  double max_bad = 0.05;
  /// Fields with captions in the .json of shards' records and in .jsonl tables, each a string or a list of strings, or
  /// columns of a .tsv or .csv; in shards the .txt is then not read. A sample draws a key by its probability among
  /// those under which the record has a caption that isn't blank, then one of that key's captions. The captions of a
  /// record are those of all keys. Without keys they are "caption" of a .json, where there is no .txt, and caption_key
  /// of a table.
  std::vector<CaptionKey> caption_keys{};
  /// Which records are taken, by the fields of their .json, or of the .parquet beside their shard, or by a table's
  /// columns: "similarity > 0.3 and width >= 64 and nsfw = 'UNLIKELY'". It is SQL's WHERE, see docs/data.md: a
  /// comparison with what isn't there is unknown, and only a record for which the whole is true is taken. The others
  /// are no bad records. Empty: all are.
  std::string where{};
  /// Where copies of remote shards are kept; by default in $XDG_CACHE_HOME/vlalign/remote, where XDG_CACHE_HOME is
  /// ~/.cache unless it is set. Processes of a host share it.
  std::filesystem::path cache{};
  double cache_gb = 50;  ///< what they may take, in units of 10^9 bytes; those least needed go first
};

/// Opens a data set: a .tsv or .csv (header, or two columns: path, caption), a .jsonl or a folder with metadata.jsonl
/// or metadata.csv ("file_name", "text": a string or a list of captions), or webdataset tar shards (.tar, .tar.gz,
/// .tar.zst, .tgz), or an index of shards (.json), such as `vlalign index` writes. Shards may also be at http(s):// and
/// s3:// or come from a pipe:COMMAND. Brace ranges like shards/{000..031}.tar and globs like shards/*.tar (sorted; of
/// files and of s3://) are expanded, and several with two colons between them are one data set. A weight behind one of
/// them, after an at sign, says how many times an epoch holds each of its records: 2, or 0.5 for half of them. Relative
/// image paths are relative to the file.
///
/// A malformed record, such as a line of a table with a column too many, without a path or a caption, or in no UTF-8,
/// is left out, named in the log and counted in bad_records(). Throws Error when too many are, for an empty data set,
/// or for a location that isn't there.
VLALIGN_EXPORT std::shared_ptr<const PairSource> open_pairs(std::string_view location, const PairOptions& options = {});

}  // namespace vlalign
