// Embeddings for TensorBoard's projector. Internal.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>

#include "vlalign/data/sources/pairs.hpp"
#include "vlalign/eval/embed.hpp"

namespace vlalign {

/// RUN/projector_config.pbtxt and, for each set, RUN/projector/NAME.vectors.tsv, NAME.labels.tsv and NAME.png. The
/// format is that of TensorBoard's plugin (tensorboard/plugins/projector/projector_config.proto).
class Projector {
 public:
  explicit Projector(std::filesystem::path run) : run_(std::move(run)) {}

  /// Up to 1,000 pictures of the set, evenly spaced, and of each the first caption: 2,000 points. In place of what was
  /// written under the name before. A point is labelled with its caption, its kind and the record's name, and drawn as
  /// its picture, 32 pixels a side, or as lines of text. Throws Error where the files can't be written.
  ///   embeddings: of all of `source`, as EmbedOptions::embedded gets them
  void write(const std::string& name, const Embeddings& embeddings, const PairSource& source);

 private:
  struct Size {
    std::int64_t points = 0, width = 0;
  };
  void write_config() const;

  std::filesystem::path run_;
  std::map<std::string, Size> sets_;  // written so far, by name
};

}  // namespace vlalign
