// A short number for much data, to tell whether it is the same as before. Internal.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace vlalign {

/// 128 bits that depend on every byte added and on where one piece ends and the next begins. The same on every machine
/// and in every version, because run folders hold them. It finds mistakes; it is no defence against forgery.
class Fingerprint {
 public:
  Fingerprint& add(std::string_view bytes);
  Fingerprint& add(std::int64_t number);

  /// 32 hexadecimal digits.
  std::string hex() const;

 private:
  void mix(std::uint64_t word);

  std::uint64_t a_ = 0x243f6a8885a308d3, b_ = 0x13198a2e03707344;  // of pi's fraction
};

}  // namespace vlalign
