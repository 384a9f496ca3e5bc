// Records that can't be used. Internal.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace vlalign {

/// "name: why", where many messages begin with the name already.
std::string describe_fault(const std::string& name, const std::string& why);

/// Counts records that are left out because they are bad. The first ten are named in the log.
class BadRecords {
 public:
  void add(std::string fault);
  /// Adds one that another process has named in its log.
  void add_quietly(std::string fault) { faults_.push_back(std::move(fault)); }
  /// Counts some of which nobody knows the names any more.
  void add_unnamed(std::int64_t count) { unnamed_ += count; }
  std::int64_t size() const { return std::ssize(faults_) + unnamed_; }
  const std::vector<std::string>& faults() const { return faults_; }

  /// Throws Error, `where` in front, that names the first when at least ten, and more than this share of the records
  /// that were read, are bad.
  void check_share(std::string_view where, std::int64_t read, double max_bad) const;

 private:
  std::vector<std::string> faults_;
  std::int64_t unnamed_ = 0;
};

}  // namespace vlalign
