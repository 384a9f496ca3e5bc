// A random order. Internal.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <vector>

namespace vlalign {

/// A random order of 0..n-1 (Fisher-Yates), the same for the same key on every machine.
std::vector<std::int64_t> random_permutation(std::int64_t n, std::initializer_list<std::uint64_t> key);

}  // namespace vlalign
