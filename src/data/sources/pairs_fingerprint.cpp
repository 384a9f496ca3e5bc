#include "data/sources/pairs_fingerprint.hpp"

#include <algorithm>
#include <bit>
#include <iterator>
#include <string>
#include <string_view>

namespace vlalign {
namespace {

/// The length of what all names begin with, up to the last '/' in it.
std::size_t shared_folder(const PairSource& pairs) {
  if (pairs.size() == 0) return 0;
  auto shared = pairs.name(0);
  for (std::int64_t i = 1; i < pairs.size() && !shared.empty(); ++i) {
    const auto name = pairs.name(i);
    const auto [end, other] = std::mismatch(shared.begin(), shared.end(), name.begin(), name.end());
    shared.erase(end, shared.end());
  }
  return shared.rfind('/') + 1;  // npos + 1 is 0
}

}  // namespace

Fingerprint names_and_captions(const PairSource& pairs) {
  Fingerprint print;
  print.add(pairs.size());
  const auto skipped = shared_folder(pairs);
  for (std::int64_t i = 0; i < pairs.size(); ++i) {
    print.add(std::string_view(pairs.name(i)).substr(skipped));
    const auto captions = pairs.captions(i);
    print.add(std::ssize(captions));
    for (const auto& caption : captions) print.add(caption);
  }
  return print;
}

std::string fingerprint_of(const PairSource& pairs) {
  if (auto known = pairs.fingerprint(); !known.empty()) return known;
  auto print = names_and_captions(pairs);
  for (const auto& run : pairs.runs())
    if (run.weight != 1.0) print.add(run.records).add(std::bit_cast<std::int64_t>(run.weight));
  return print.hex();
}

}  // namespace vlalign
