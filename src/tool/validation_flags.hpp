// The flags of `train` about held-out sets, and what is measured on them while it trains.
#pragma once

#include <CLI/CLI.hpp>
#include <string>
#include <vector>

#include "tool/held_out.hpp"
#include "vlalign/loss/contrastive_loss.hpp"
#include "vlalign/train/trainer.hpp"

namespace vlalign::tool {

/// --classes and --templates.
void add_class_flags(CLI::App& command, std::vector<std::string>& classes, std::vector<std::string>& templates);

struct ValidationFlags {
  std::vector<std::string> tests, notes;
  std::vector<std::string> zero_shot, classes, templates;

  void add(CLI::App& command, TrainerOptions& options);
  /// Opens the sets; see open_held_out().
  HeldOut open(const PairOptions& columns) const;
};

/// What is measured while the run lasts, where it is validated. Throws Error where --best or --guard names no figure of
/// these sets.
void set_validations(TrainerOptions& options, const HeldOut& sets, const AnyLoss& loss);

}  // namespace vlalign::tool
