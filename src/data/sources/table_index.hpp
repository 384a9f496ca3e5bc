// Where the rows of each record stand in a table. Internal.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <span>
#include <utility>
#include <vector>

#include "data/sources/row_place.hpp"

namespace vlalign {

/// The words of an index, wherever they are. Several threads may read them.
class IndexWords {
 public:
  IndexWords() = default;
  IndexWords(const IndexWords&) = delete;
  IndexWords& operator=(const IndexWords&) = delete;
  virtual ~IndexWords() = default;

  virtual std::size_t size() const = 0;
  /// Throws Error unless there are as many, and they are as they were written.
  virtual std::span<const std::uint64_t> get(std::size_t first, std::size_t count) const = 0;
};

/// Words in memory.
class OwnWords : public IndexWords {
 public:
  explicit OwnWords(std::vector<std::uint64_t> words) : words_(std::move(words)) {}
  std::size_t size() const override { return words_.size(); }
  std::span<const std::uint64_t> get(std::size_t first, std::size_t count) const override;

 private:
  std::vector<std::uint64_t> words_;
};

/// A word a record. It is the place of the record's only row; or, with the highest bit set, it says which word behind
/// those of the records is the number of the record's rows, whose places follow it.
class TableIndex {
 public:
  TableIndex(std::shared_ptr<const IndexWords> words, std::int64_t records)
      : words_(std::move(words)), records_(records) {}

  std::int64_t size() const { return records_; }
  /// In the table's order. Throws Error for a record that there isn't.
  std::vector<RowPlace> rows(std::int64_t record) const;
  RowPlace first_row(std::int64_t record) const;
  const IndexWords& words() const { return *words_; }

 private:
  std::span<const std::uint64_t> words_of(std::int64_t record) const;

  std::shared_ptr<const IndexWords> words_;
  std::int64_t records_;
};

/// Collects the rows of records as they come: 8 bytes a record, and 16 a further row of one.
class TableIndexMaker {
 public:
  std::int64_t size() const { return std::ssize(firsts_); }
  RowPlace first_row(std::int64_t record) const { return RowPlace(firsts_[static_cast<std::size_t>(record)]); }
  void add_record(RowPlace first) { firsts_.push_back(first.word()); }
  void add_row(std::int64_t record, RowPlace row) { further_.push_back({record, row.word()}); }
  /// To be called once.
  TableIndex finish();

 private:
  struct Further {
    std::int64_t record;
    std::uint64_t row;
  };

  // In pieces, since a vector that grows is there twice.
  std::deque<std::uint64_t> firsts_;
  std::deque<Further> further_;
};

}  // namespace vlalign
