#include "core/fingerprint.hpp"

#include <fmt/format.h>

#include <bit>
#include <cstring>

namespace vlalign {
namespace {

/// The end of MurmurHash3 (Appleby): every bit of the word changes about half of the result's.
std::uint64_t scattered(std::uint64_t x) {
  x = (x ^ (x >> 33)) * 0xff51afd7ed558ccd;
  x = (x ^ (x >> 33)) * 0xc4ceb9fe1a85ec53;
  return x ^ (x >> 33);
}

}  // namespace

/// Two lanes of one multiplication each. A step of a lane can be undone, so that two words are never confused in it
/// whatever follows.
void Fingerprint::mix(std::uint64_t word) {
  a_ = std::rotl((a_ ^ word) * 0x87c37b91114253d5, 31);
  b_ = std::rotl((b_ + word) * 0x4cf5ad432745937f, 33) ^ 0x52dce729;
}

Fingerprint& Fingerprint::add(std::string_view bytes) {
  mix(bytes.size());
  while (bytes.size() >= sizeof(std::uint64_t)) {
    std::uint64_t word = 0;
    std::memcpy(&word, bytes.data(), sizeof word);
    mix(word);
    bytes.remove_prefix(sizeof word);
  }
  std::uint64_t rest = 0;
  if (!bytes.empty()) std::memcpy(&rest, bytes.data(), bytes.size());
  mix(rest);
  return *this;
}

Fingerprint& Fingerprint::add(std::int64_t number) {
  mix(static_cast<std::uint64_t>(number));
  return *this;
}

std::string Fingerprint::hex() const {
  const auto a = scattered(a_ + b_), b = scattered(b_ ^ std::rotl(a_, 17));
  return fmt::format("{:016x}{:016x}", a, b);
}

}  // namespace vlalign
