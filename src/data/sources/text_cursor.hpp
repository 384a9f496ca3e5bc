// A place in a table's text that moves on. Internal.
#pragma once

#include <algorithm>
#include <cstdint>
#include <string>
#include <string_view>

#include "data/sources/table_text.hpp"

namespace vlalign {

class TextCursor {
 public:
  static constexpr int none = -1;  // in place of a byte

  /// Reads from `begin` to `end`, as if there were no more.
  TextCursor(const TableText& text, std::int64_t begin, std::int64_t end) : text_(text) { go_to(begin, end); }
  TextCursor(const TextCursor&) = delete;
  TextCursor& operator=(const TextCursor&) = delete;

  /// The next byte, 0 to 255, or none.
  int peek() { return rest_.empty() && !refill() ? none : static_cast<unsigned char>(rest_.front()); }
  int get() {
    const int c = peek();
    if (c != none) rest_.remove_prefix(1);
    return c;
  }

  /// Appends the bytes before the next one for which `stops` is true.
  template <typename Stops>
  void append_until(const Stops& stops, std::string& to) {
    while (!rest_.empty() || refill()) {
      const auto stop = static_cast<std::size_t>(std::find_if(rest_.begin(), rest_.end(), stops) - rest_.begin());
      to.append(rest_.substr(0, stop));
      rest_.remove_prefix(stop);
      if (!rest_.empty()) return;
    }
  }

  /// The next line without its end: LF, CRLF or CR. False behind the last.
  bool next_line(std::string& line) {
    line.clear();
    if (peek() == none) return false;
    append_until([](char c) { return c == '\n' || c == '\r'; }, line);
    if (get() == '\r' && peek() == '\n') get();
    return true;
  }

  std::int64_t offset() const { return next_ - std::ssize(rest_); }
  void go_to(std::int64_t offset) { go_to(offset, end_); }
  void go_to(std::int64_t offset, std::int64_t end) {
    next_ = offset;
    end_ = end;
    rest_ = {};
    if (offset >= window_begin_ && offset < window_begin_ + std::ssize(window_)) take(offset - window_begin_);
  }

  /// How many bytes are read at once where the window has none.
  void set_ahead(std::int64_t bytes) { ahead_ = bytes; }

 private:
  bool refill() {
    if (next_ >= end_) return false;
    window_begin_ = next_;
    window_ = text_.read(next_, ahead_, buffer_);
    take(0);
    return !rest_.empty();
  }
  void take(std::int64_t from) {
    const auto most = std::max<std::int64_t>(end_ - next_, 0);
    rest_ = window_.substr(static_cast<std::size_t>(from), static_cast<std::size_t>(most));
    next_ += std::ssize(rest_);
  }

  const TableText& text_;
  std::int64_t ahead_ = 1 << 18;
  std::string buffer_;
  std::string_view window_;  // a piece of the text,
  std::int64_t window_begin_ = 0;
  std::string_view rest_;            // what of it is to come,
  std::int64_t next_ = 0, end_ = 0;  // and where that ends, and where all ends
};

}  // namespace vlalign
