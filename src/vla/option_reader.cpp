#include "vla/option_reader.hpp"

#include <algorithm>
#include <cmath>

#include "core/check.hpp"
#include "vla/check_shape.hpp"

namespace vlalign::vla {

const double* OptionReader::find(const char* name) {
  known_.emplace_back(name);
  const auto found = options_.find(name);
  return found == options_.end() ? nullptr : &found->second;
}

void OptionReader::integer(const char* name, std::int64_t& value, std::int64_t least) {
  const auto* given = find(name);
  if (given == nullptr) return;
  const bool fits = std::trunc(*given) == *given && *given >= static_cast<double>(least) && *given <= largest_size;
  check(fits, "{}: {}: expected an integer from {} to {}, got {}", where_, name, least, largest_size, *given);
  value = static_cast<std::int64_t>(*given);
}

void OptionReader::number(const char* name, double& value) {
  const auto* given = find(name);
  if (given == nullptr) return;
  check(std::isfinite(*given), "{}: {}: expected a finite number, got {}", where_, name, *given);
  value = *given;
}

void OptionReader::check_all_taken() const {
  for (const auto& [name, value] : options_)
    check(std::find(known_.begin(), known_.end(), name) != known_.end(), "{}: unknown option '{}': expected one of {}",
          where_, name, fmt::join(known_, ", "));
}

}  // namespace vlalign::vla
