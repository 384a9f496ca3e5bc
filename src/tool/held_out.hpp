// The held-out sets that a training run is evaluated on: --val, --val-note, --zero-shot.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "vlalign/data/sources/pairs.hpp"

namespace vlalign::tool {

struct HeldOutSet {
  std::string name, note;
  std::shared_ptr<const PairSource> pairs;
};

struct ZeroShotSet {
  std::string name;
  std::shared_ptr<const PairSource> pairs;
  std::vector<std::string> classes, templates;
};

struct HeldOut {
  std::vector<HeldOutSet> pairs;
  std::vector<ZeroShotSet> classes;
};

/// What the flags of these names say.
struct HeldOutFlags {
  std::vector<std::string> pairs, notes;                   ///< NAME=DATA or DATA alone; fewer notes are allowed
  std::vector<std::string> zero_shot, classes, templates;  ///< one file for all sets, or one each
};

/// A part of a run's figures: its name, which is empty where none is given, and where its data is.
struct NamedData {
  std::string flag, name, location;
};

/// "NAME=DATA". A path may hold "=" too: what is there as it stands is no name with its data, nor is what has a slash
/// or a colon in front of it. Throws Error for an empty name.
NamedData split_name(const std::string& flag, const std::string& text);

/// Templates by the name of a list, or in a file; the default for no text.
std::vector<std::string> read_templates(const std::string& name);

/// Opens them all. Throws Error, before anything is trained, where one can't be opened or none of its first pictures be
/// read, where a picture's caption is none of the classes, where two have the same name, or one has the name of a key
/// of eval.json.
HeldOut open_held_out(const HeldOutFlags& flags, const PairOptions& columns);

}  // namespace vlalign::tool
