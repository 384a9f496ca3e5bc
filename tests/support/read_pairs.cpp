// Opens pairs and prints what was read of them as JSON; tests/tools/hostile_tables.py compares it with what it knows.
//   vlalign_read_pairs LOCATION
// "texts" is the CRC-32 of each picture's file name and its captions, a line each; "bad_lines" that of the numbers of
// the bad lines.
#include <fmt/format.h>
#include <zlib.h>

#include <cstdio>
#include <filesystem>
#include <string>

#include "vlalign/core/error.hpp"
#include "vlalign/core/log.hpp"
#include "vlalign/data/sources/pairs.hpp"

namespace {

class Sum {
 public:
  void add(std::string line) {
    line += '\n';
    value_ = ::crc32(value_, reinterpret_cast<const Bytef*>(line.data()), static_cast<uInt>(line.size()));
  }
  unsigned long value() const { return value_; }

 private:
  unsigned long value_ = 0;
};

/// Of "file:line: why".
std::string line_of(const std::string& bad, const std::string& file) {
  const auto begin = file.size() + 1;
  return bad.substr(begin, bad.find(':', begin) - begin);
}

void print_figures(const std::string& location) {
  const auto pairs = vlalign::open_pairs(location);
  Sum texts, lines;
  std::int64_t captions = 0;
  for (std::int64_t i = 0; i < pairs->size(); ++i) {
    texts.add(std::filesystem::path(pairs->name(i)).filename().string());
    for (const auto& caption : pairs->captions(i)) texts.add(caption), ++captions;
  }
  const auto bad = pairs->bad_records();
  for (const auto& one : bad) lines.add(line_of(one, location));
  fmt::print(R"({{"records": {}, "captions": {}, "texts": {}, "bad": {}, "bad_lines": {}}})"
             "\n",
             pairs->size(), captions, texts.value(), bad.size(), lines.value());
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) return 2;
  try {
    print_figures(argv[1]);
    return 0;
  } catch (const vlalign::Error& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 1;
  }
}
