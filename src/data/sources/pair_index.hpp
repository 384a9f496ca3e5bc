// What a pair source keeps in memory of each record: its name and captions.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace vlalign {

/// A list of strings in one block of memory: 8 bytes a string, and the text.
class StringList {
 public:
  void push_back(std::string_view text);
  std::string_view operator[](std::int64_t i) const;
  std::int64_t size() const { return static_cast<std::int64_t>(ends_.size()); }
  void shrink_to_fit();

 private:
  std::string text_;
  std::vector<std::size_t> ends_;
};

class PairIndex {
 public:
  /// Returns the new record's number.
  std::int64_t add_record(std::string_view name);
  void add_caption(std::int64_t record, std::string_view caption);
  /// To be called once, before captions(): puts each record's captions together, in the order they came.
  void finish();

  std::int64_t size() const { return names_.size(); }
  std::string_view name(std::int64_t record) const { return names_[record]; }
  std::vector<std::string> captions(std::int64_t record) const;

 private:
  StringList names_;
  StringList captions_;
  std::vector<std::int64_t> record_of_caption_;  // until finish()
  std::vector<std::int64_t> first_;              // record r has the captions order_[first_[r]] to order_[first_[r + 1]]
  std::vector<std::int64_t> order_;
};

}  // namespace vlalign
