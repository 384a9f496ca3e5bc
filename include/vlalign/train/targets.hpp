#pragma once

#include <ATen/core/Tensor.h>

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "vlalign/core/export.hpp"
#include "vlalign/data/loading/loader.hpp"
#include "vlalign/loss/contrastive_loss.hpp"
#include "vlalign/tokenizers/tokenizer.hpp"

namespace vlalign {

/// Which images of a batch match which of its texts: groups or soft targets, as ContrastiveBatch holds them.
struct Targets {
  at::Tensor groups{};  ///< int64 [B]
  SoftTargets soft{};   ///< float32 [B, B]
};

/// Tells a batch's targets from its records and captions. The name goes into the run's config.
struct TargetRule {
  std::string name;
  std::function<Targets(const PairBatch&)> make;
};

/// Pairs with the same caption are one group: each of its images matches each of its texts.
VLALIGN_EXPORT TargetRule equal_captions();

/// Soft labels from the tokens that captions share. Of each row, the share `own` (0 to 1) stays with the row's own
/// pair. The rest goes to all captions in proportion to the Jaccard index of their set of tokens and the row's own. The
/// sets leave out padding, the end token and tokens that every caption has.
VLALIGN_EXPORT TargetRule shared_tokens(const Tokenizer& tokenizer, double own = 0.8);

}  // namespace vlalign
