#pragma once

#include <cstdint>
#include <initializer_list>

#include "vlalign/core/export.hpp"

namespace vlalign {

/// A small random generator whose whole state is one number (SplitMix64, Steele et al. 2014).
/// Every random choice of the library comes from a generator keyed by what it is for, e.g.
/// `Rng rng({seed, epoch, sample})`: nothing has to be saved to repeat or resume a run.
class VLALIGN_EXPORT Rng {
 public:
  explicit Rng(std::initializer_list<std::uint64_t> key);

  std::uint64_t next();                     ///< 64 random bits
  double uniform();                         ///< in [0, 1)
  double uniform(double low, double high);  ///< in [low, high)
  std::int64_t below(std::int64_t n);       ///< an integer in [0, n), n > 0
  bool chance(double probability);          ///< true with this probability

 private:
  std::uint64_t state_;
};

}  // namespace vlalign
