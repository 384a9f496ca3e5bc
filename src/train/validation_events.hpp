// What TensorBoard gets of a run's validations. Internal.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "train/event_file.hpp"
#include "vlalign/data/sources/pairs.hpp"
#include "vlalign/eval/embed.hpp"
#include "vlalign/train/validation.hpp"

namespace vlalign {

class ValidationEvents {
 public:
  /// The file must outlive it.
  explicit ValidationEvents(EventFile& events) : events_(events) {}

  /// Each figure as the scalar "NAME/KEY".
  void add_figures(const ValidationResult& result);

  /// Its tags are no keys of figures, which are scalars. For eight pictures of the data, the same each time, their
  /// three best captions with cosines as the table "NAME/retrieved"; the pictures themselves, 64 pixels a side, four in
  /// a row in the table's order, once, as "NAME/pictures". A picture that can't be read any more is white. Of several
  /// data sets that a validation embeds, the first.
  ///   embeddings: of all of `source`, as EmbedOptions::embedded gets them
  void add_retrieved(const std::string& name, std::int64_t step, const Embeddings& embeddings,
                     const PairSource& source);

 private:
  struct Shown {
    std::int64_t step = 0;              // of the last table
    std::vector<std::int64_t> records;  // of the pictures
  };
  EventFile& events_;
  std::map<std::string, Shown> shown_;  // by the validation's name
};

/// The picture of a record for a thumbnail of `side` pixels; one without pixels where it can't be read.
Image thumbnail(const PairSource& source, std::int64_t record, int side);

}  // namespace vlalign
