#include "vlalign/core/random.hpp"

#include <numeric>
#include <utility>

#include "core/check.hpp"

namespace vlalign {
namespace {

std::uint64_t mix(std::uint64_t z) {
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
  return z ^ (z >> 31);
}

constexpr std::uint64_t golden_gamma = 0x9e3779b97f4a7c15ULL;

}  // namespace

Rng::Rng(std::initializer_list<std::uint64_t> key) : state_(golden_gamma) {
  for (const auto part : key) state_ = mix(state_ + golden_gamma) ^ mix(part + golden_gamma);
}

std::uint64_t Rng::next() { return mix(state_ += golden_gamma); }

double Rng::uniform() { return static_cast<double>(next() >> 11) * 0x1.0p-53; }

double Rng::uniform(double low, double high) { return low + (high - low) * uniform(); }

std::int64_t Rng::below(std::int64_t n) {
  if (n <= 0) fail("[Rng] below: expected more than 0, got {}", n);
  // The high half of a 64x64-bit product: uniform to within n / 2^64.
  return static_cast<std::int64_t>((static_cast<unsigned __int128>(next()) * static_cast<std::uint64_t>(n)) >> 64);
}

bool Rng::chance(double probability) { return uniform() < probability; }

}  // namespace vlalign
