#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace emoji {

/// Where a picture goes. The two tests ask different things: combinations, how known concepts recombine ("woman
/// firefighter: dark skin tone" when other firefighters were seen); concepts, what is made of a concept never seen.
enum class Part {
  train,
  combinations,  ///< a tenth of the pictures outside the held-out families
  concepts,      ///< the held-out families, without skin tones and flags
  left_out,      ///< the skin tones and flags of the held-out families: in no file
};

/// The concept that an English CLDR name is of: the name without skin tones, with man, woman, men, women and people
/// read as person, boy and girl as child; who is in a kiss, a couple or a family does not count, nor 'person' after the
/// colon.
///   family("woman firefighter: medium-dark skin tone") == "person firefighter"
std::string family(std::string_view name);

/// A picture's part, in the order of the names. A family is held out when its FNV-1a hash is divisible by ten, whatever
/// the seed. The other names, in the order of the FNV-1a hash of "name#1", are cut into tenths: seed 1 tests
/// combinations on the first, seed 2 on the second, seed 11 on the first again.
///   names: English names, each once
std::vector<Part> split(const std::vector<std::string>& names, std::uint64_t seed);

/// FNV-1a, 64 bits, of the bytes (Fowler, Noll, Vo; draft-eastlake-fnv).
std::uint64_t fnv1a(std::string_view bytes);

}  // namespace emoji
