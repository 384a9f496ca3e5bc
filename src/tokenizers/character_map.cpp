#include "tokenizers/character_map.hpp"

#include <unicode/brkiter.h>
#include <unicode/uchar.h>

#include <algorithm>
#include <memory>

#include "core/check.hpp"
#include "text/icu_text.hpp"
#include "text/unicode_text.hpp"

namespace vlalign {
namespace {

std::uint32_t little_endian(std::string_view bytes) {
  std::uint32_t value = 0;
  for (std::size_t i = 4; i-- > 0;) value = value << 8 | static_cast<unsigned char>(bytes[i]);
  return value;
}

// The fields of a unit of Darts-clone's double array.
bool has_leaf(std::uint32_t unit) { return (unit >> 8 & 1) != 0; }
std::uint32_t value_of(std::uint32_t unit) { return unit & 0x7FFF'FFFF; }
std::uint32_t label_of(std::uint32_t unit) { return unit & 0x8000'00FF; }
std::uint32_t offset_of(std::uint32_t unit) { return unit >> 10 << ((unit & 0x200) >> 6); }

icu::BreakIterator& graphemes() {
  thread_local const auto iterator = [] {
    UErrorCode status = U_ZERO_ERROR;
    std::unique_ptr<icu::BreakIterator> made(
        icu::BreakIterator::createCharacterInstance(icu::Locale::getRoot(), status));
    check_icu(status);
    return made;
  }();
  return *iterator;
}

}  // namespace

CharacterMap::CharacterMap(std::string_view bytes) {
  if (bytes.empty()) return;
  const auto size = bytes.size() < 4 ? bytes.size() : little_endian(bytes);
  check(bytes.size() >= 8 && size % 4 == 0 && size > 0 && size <= bytes.size() - 4,
        "precompiled_charsmap: {} bytes that aren't a character map", bytes.size());
  for (std::size_t at = 4; at < 4 + size; at += 4) trie_.push_back(little_endian(bytes.substr(at, 4)));
  replacements_ = bytes.substr(4 + size);
  replacements_.push_back('\0');
}

// Of the shortest key that the text begins with.
std::optional<std::string_view> CharacterMap::replacement(std::string_view text) const {
  if (trie_.empty()) return std::nullopt;
  const auto unit_at = [&](std::size_t place) { return place < trie_.size() ? trie_[place] : 0; };
  std::size_t place = offset_of(trie_[0]);
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    place ^= byte;
    const auto unit = unit_at(place);
    if (byte == 0 || label_of(unit) != byte) return std::nullopt;
    place ^= offset_of(unit);
    if (!has_leaf(unit)) continue;
    const auto start = value_of(unit_at(place));
    check(start < replacements_.size(), "precompiled_charsmap: a replacement lies behind its end");
    return std::string_view(replacements_.c_str() + start);
  }
  return std::nullopt;
}

void CharacterMap::check_lookups() const {
  if (trie_.empty()) return;
  constexpr int unknown = -1, room = 32;
  std::vector<int> known(trie_.size(), unknown);
  check(most_keys(offset_of(trie_[0]), 0, known) <= room, "precompiled_charsmap: keys within keys, more than {}", room);
}

/// That a text can go on with from a place between two units.
int CharacterMap::most_keys(std::size_t place, int depth, std::vector<int>& known) const {
  constexpr int longest = 1000;
  check((place | 0xFF) < trie_.size() && depth <= longest, "precompiled_charsmap: its trie leads out of it");
  if (known[place] >= 0) return known[place];
  int most = 0;
  for (std::uint32_t byte = 0; byte <= 0xFF; ++byte) {
    const auto unit = trie_[place ^ byte];
    if (label_of(unit) != byte) continue;
    const auto next = place ^ byte ^ offset_of(unit);
    const int keys = most_keys(next, depth + 1, known) + (has_leaf(unit) ? 1 : 0);
    check(!has_leaf(unit) || value_of(trie_[next]) < replacements_.size(),
          "precompiled_charsmap: a replacement lies behind its end");
    most = std::max(most, keys);
  }
  return known[place] = most;
}

void CharacterMap::append(std::string_view grapheme, std::string& result) const {
  constexpr std::size_t longest = 5;
  if (grapheme.size() <= longest) {
    if (const auto found = replacement(grapheme)) {
      result += *found;
      return;
    }
  }
  while (!grapheme.empty()) {
    const auto character = grapheme.substr(0, static_cast<std::size_t>(first_code_point(grapheme).length));
    result += replacement(character).value_or(character);
    grapheme.remove_prefix(character.size());
  }
}

// Whether it is a grapheme of its own beside another such character.
static bool stands_alone(char32_t c) {
  if (c < 0x80) return c >= 0x20 && c != 0x7F;
  return u_getIntPropertyValue(static_cast<UChar32>(c), UCHAR_GRAPHEME_CLUSTER_BREAK) == U_GCB_OTHER;
}

void CharacterMap::append_graphemes(std::string_view text, std::string& result) const {
  const auto units = to_icu(to_utf32(text));
  auto& iterator = graphemes();
  iterator.setText(units);
  std::string grapheme;
  auto start = iterator.first();
  for (auto end = iterator.next(); end != icu::BreakIterator::DONE; start = end, end = iterator.next()) {
    grapheme.clear();
    units.tempSubStringBetween(start, end).toUTF8String(grapheme);
    append(grapheme, result);
  }
}

std::string CharacterMap::apply(std::string_view text) const {
  if (trie_.empty()) return std::string(text);
  std::string result;
  result.reserve(text.size());
  std::size_t start = 0, position = 0;  // of what is not appended yet
  int characters = 0;
  bool was_alone = false;
  const auto flush = [&] {
    const auto part = text.substr(start, position - start);
    characters == 1 ? append(part, result) : append_graphemes(part, result);
    start = position;
    characters = 0;
  };
  while (position < text.size()) {
    const auto first = first_code_point(text.substr(position));
    const bool alone = stands_alone(first.value);
    if (alone && was_alone) flush();
    was_alone = alone;
    ++characters;
    position += static_cast<std::size_t>(first.length);
  }
  if (characters > 0) flush();
  return result;
}

}  // namespace vlalign
