#include "data/sources/bad_records.hpp"

#include <algorithm>
#include <utility>

#include "core/check.hpp"
#include "core/log.hpp"

namespace vlalign {
namespace {

constexpr std::int64_t tolerated = 10;  // fewer bad records than this never stop a run
constexpr std::int64_t logged = 10;
constexpr std::int64_t quoted = 5;

}  // namespace

std::string describe_fault(const std::string& name, const std::string& why) {
  return why.starts_with(name) ? why : name + ": " + why;
}

void BadRecords::add(std::string fault) {
  faults_.push_back(std::move(fault));
  if (size() <= logged) log_warning("a record is skipped: {}", faults_.back());
  if (size() == logged) log_warning("more records may be skipped, they are counted but not named here");
}

void BadRecords::check_share(std::string_view where, std::int64_t read, double max_bad) const {
  check(size() < tolerated || static_cast<double>(size()) <= max_bad * static_cast<double>(read),
        "{} {} of {} records could not be read, more than max_bad = {} allows; the first are:\n  {}", where, size(),
        read, max_bad, fmt::join(faults_.begin(), faults_.begin() + std::min(quoted, std::ssize(faults_)), "\n  "));
}

}  // namespace vlalign
