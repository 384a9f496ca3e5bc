// Options of a fusion or a head by name. Internal.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "vlalign/vla/part_options.hpp"

namespace vlalign::vla {

/// Each call takes one option, if it is given; check_all_taken() comes last.
class OptionReader {
 public:
  /// where: for messages, such as "fusion early"; options and where must outlive the reader.
  OptionReader(const PartOptions& options, std::string_view where) : options_(options), where_(where) {}

  /// Throws Error unless it is an integer from `least` to 16,384.
  void integer(const char* name, std::int64_t& value, std::int64_t least = 1);
  /// Throws Error unless it is finite.
  void number(const char* name, double& value);
  /// Throws Error for an option that nobody asked for, listing those that there are.
  void check_all_taken() const;

 private:
  const double* find(const char* name);

  const PartOptions& options_;
  std::string_view where_;
  std::vector<std::string_view> known_;
};

}  // namespace vlalign::vla
