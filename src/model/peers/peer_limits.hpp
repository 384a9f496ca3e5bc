// Which programs read a model's folder.
#pragma once

#include <string>
#include <vector>

#include "vlalign/config/model_config.hpp"

namespace vlalign {

/// What keeps the peer of the model's layout, or versions of it, from reading the folder or from running the model it
/// read, in a sentence each; empty where nothing does.
struct PeerLimits {
  std::vector<std::string> of_every_version{};
  std::vector<std::string> of_older_versions{};
};
PeerLimits peer_limits(const ModelConfig& config);

/// Says them in the log: a warning where no version of the peer reads the folder.
void log_peer_limits(const ModelConfig& config);

}  // namespace vlalign
