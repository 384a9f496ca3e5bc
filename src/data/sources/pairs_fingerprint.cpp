#include "data/sources/pairs_fingerprint.hpp"

#include <algorithm>
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

}  // namespace vlalign
