#include "vlalign/train/optimizer_options.hpp"

#include <array>

#include "core/check.hpp"

namespace vlalign {
namespace {

/// In the variant's order.
constexpr std::array<std::string_view, std::variant_size_v<OptimizerOptions>> optimizer_names{"adamw", "lamb", "lion",
                                                                                              "muon"};

}  // namespace

OptimizerOptions parse_optimizer(std::string_view name) {
  for (const OptimizerOptions& options : {OptimizerOptions(AdamWOptions()), OptimizerOptions(LambOptions()),
                                          OptimizerOptions(LionOptions()), OptimizerOptions(MuonOptions())})
    if (name == to_string(options)) return options;
  fail("unknown optimizer \"{}\": it is adamw, lamb, lion or muon", name);
}

std::string_view to_string(const OptimizerOptions& options) { return optimizer_names.at(options.index()); }

}  // namespace vlalign
