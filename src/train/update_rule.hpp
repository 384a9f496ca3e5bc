// How an optimizer moves parameters. Internal.
#pragma once

#include <ATen/core/Tensor.h>

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "vlalign/ranks/shard.hpp"
#include "vlalign/train/optimizer_options.hpp"

namespace vlalign {

/// One step of parameters that have one rate and are all decayed or all not; of each moment there is one a parameter.
struct GroupStep {
  double learning_rate = 0;
  bool decayed = false;
  std::vector<std::string> names;
  std::vector<at::Tensor> wholes;                 ///< the parameters
  std::vector<Shard> parts;                       ///< which part of each is this rank's, maybe none
  std::vector<at::Tensor> parameters, gradients;  ///< those parts, which lie alike in memory
  std::vector<std::vector<at::Tensor>> moments;   ///< in the rule's order
  std::vector<at::Tensor> counts;                 ///< steps of each with this one, float32 scalars on the CPU
};

/// Moves this rank's parts, which the ranks share afterwards, and the moments; collective.
class UpdateRule {
 public:
  virtual ~UpdateRule() = default;
  /// As checkpoints call them.
  virtual std::vector<std::string> moments() const = 0;
  /// Whether counts are a part of its state.
  virtual bool counts() const { return true; }
  /// Whether it is for this parameter.
  virtual bool takes(std::string_view, const at::Tensor&) const { return true; }
  virtual void update(const GroupStep& step, const Ranks& ranks) const = 0;
};

/// Throw Error on options out of range.
std::unique_ptr<UpdateRule> make_rule(const AdamWOptions& options);
std::unique_ptr<UpdateRule> make_rule(const LambOptions& options);
std::unique_ptr<UpdateRule> make_rule(const LionOptions& options);
/// That of the matrices.
std::unique_ptr<UpdateRule> make_rule(const MuonOptions& options);

}  // namespace vlalign
