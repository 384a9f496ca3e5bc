// A config's fields one by one, so that two configs can be compared and the difference named.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "vlalign/config/model_config.hpp"

namespace vlalign {

struct ConfigField {
  std::string name;  ///< "vision.width"
  std::variant<double, std::string> value;
};

/// All of them but the name and the layout, which are no part of what a model computes. A tower's MLP ratio stands as
/// the width it gives, which is all that a tower knows of it.
std::vector<ConfigField> fields_of(const ModelConfig& config);

/// A value for people.
std::string text_of(const ConfigField& field);

struct ConfigDifference {
  std::string name, a, b;  ///< the values are empty where a config has no such field
};

/// The first field that differs. Numbers may differ by rounding: some are written as their logarithm.
std::optional<ConfigDifference> first_difference(const ModelConfig& a, const ModelConfig& b);

/// The config without what only decides how a model starts and trains, which inputs it takes and which names its files
/// use: two that are equal then compute the same from the same weights.
ModelConfig computation_of(ModelConfig config);

std::string_view name_of(Activation activation);

/// The hidden width of an MLP: a ratio that was a quotient gives back its dividend.
std::int64_t mlp_width(std::int64_t width, double ratio);

}  // namespace vlalign
