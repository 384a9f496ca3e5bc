#include "text/misread_text.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "text/single_byte_encoding.hpp"
#include "text/unicode_text.hpp"

namespace vlalign {
namespace {

// ---- What a character can be in misread text ----

using Traits = std::uint32_t;
namespace trait {

enum : Traits {
  common = 1 << 0,  // in too many places to mean anything alone
  control = 1 << 1,
  bad = 1 << 2,  // hardly ever meant
  law = 1 << 3,
  currency = 1 << 4,
  start = 1 << 5,  // punctuation before a word
  end = 1 << 6,    // punctuation after a word
  numeric = 1 << 7,
  kaomoji = 1 << 8,  // letters that faces are made of
  upper = 1 << 9,    // accented Latin letters
  lower = 1 << 10,
  upper_common = 1 << 11,  // Greek and Cyrillic letters
  lower_common = 1 << 12,
  box = 1 << 13,
  ascii_letter = 1 << 14,
  ascii_lower = 1 << 15,
  not_ascii_letter = 1 << 16,
  space = 1 << 17,
  word = 1 << 18,
  not_line_feed = 1 << 19,
  // How UTF-8's bytes look in Latin-1 and the Windows encodings.
  lead_of_2 = 1 << 20,
  lead_of_3 = 1 << 21,
  lead_of_4 = 1 << 22,
  continuation = 1 << 23,
  sure_continuation = 1 << 24,  // not a space, dash, quotation mark, bullet or ellipsis
};
constexpr Traits none = 0;
constexpr Traits accented = upper | lower;

}  // namespace trait

struct TraitCharacters {
  Traits trait;
  std::u32string_view characters;  // "a-z" is a range
};
constexpr TraitCharacters trait_characters[] = {
    {trait::common, U"\u00A0\u00AD·´–—―…’"},
    {trait::control, U"\x80-\x9F"},
    {trait::bad, U"¤¦¨¬¯¸ªºƒˆˇ˘˛˜†‡‰⌐◊\uFFFD"},
    {trait::law, U"§¶"},
    {trait::currency, U"¢£¥₧€"},
    {trait::start, U"¡¿«‹©΄΅‘‚“„•\uF8FF"},
    {trait::end, U"»›®˝”™"},
    {trait::numeric, U"¹²³±¼½¾×÷µ⁄∂∆∏∑√∞∩∫≈≠≡≤≥№"},
    {trait::kaomoji, U"°Ò-ÖÙ-Üò-öø-üŌŐŪŲ"},
    {trait::upper, U"À-ÑØÜÝĀĂĄĆČĎĐĒĖĘĚĞĢĪİĶĹĻĽŁŃŅŇŒŘŚŞŠŢŤŮŰŸŹŻŽҐ"},
    {trait::lower, U"ß-ñüāăąćčďđēėęěğģīįķĺļľłœŕśşšťźżžґﬁﬂ"},
    {trait::upper_common, U"ÞΆΈ-ΊΌΎΏΑ-ΫЁ-Я"},
    {trait::lower_common, U"ά-ωа-џ"},
    {trait::box, U"│┌┐┘├┤┬┼═-╬▀▄█▌▐-▓"},
    {trait::ascii_letter, U"A-Za-z"},
    {trait::ascii_lower, U"a-z"},
};

template <typename Function>
void for_each_in(std::u32string_view ranges, Function function) {
  for (std::size_t i = 0; i < ranges.size(); ++i) {
    const bool is_range = i + 2 < ranges.size() && ranges[i + 1] == U'-';
    const auto last = is_range ? ranges[i + 2] : ranges[i];
    for (char32_t c = ranges[i]; c <= last; ++c) function(c);
    if (is_range) i += 2;
  }
}

constexpr char32_t table_size = 0x2600;  // nearly all characters with a trait of their own are below

class TraitTable {
 public:
  TraitTable() : table_(table_size) {
    for (char32_t c = 0; c < table_size; ++c) table_[c] = general_traits(c);
    for (const auto& [trait, characters] : trait_characters) {
      for_each_in(characters, [&, bit = trait](char32_t c) { add(c, bit); });
    }
    for_each_in(U"A-Za-z", [&](char32_t c) { table_[c] &= ~trait::not_ascii_letter; });
    for (const auto& encoding : single_byte_encodings()) add_bytes_of(encoding);
    add(U' ', trait::continuation);
    for_each_in(U"–—―‘’‚“”„•…", [&](char32_t c) { table_[c] &= ~trait::sure_continuation; });
  }

  Traits operator[](char32_t c) const {
    if (c < table_size) return table_[c];
    const auto found = beyond_.find(c);
    return found == beyond_.end() ? general_traits(c) : found->second;
  }

 private:
  static Traits general_traits(char32_t c) {
    const bool is_word = is_letter(c) || is_number(c) || c == U'_';
    return trait::not_ascii_letter | (is_word ? trait::word : trait::none) |
           (is_space(c) ? trait::space : trait::none) | (c == U'\n' ? trait::none : trait::not_line_feed);
  }

  void add(char32_t c, Traits trait) {
    if (c < table_size) {
      table_[c] |= trait;
    } else {
      beyond_.try_emplace(c, general_traits(c)).first->second |= trait;
    }
  }

  void add_bytes_of(const SingleByteEncoding& encoding) {
    if (encoding.kind() == SingleByteEncoding::Kind::other) return;
    for (unsigned byte = 0x80; byte < 0xF4; ++byte) {
      const auto c = encoding.decode(static_cast<unsigned char>(byte));
      if (byte < 0xC0) add(c, trait::continuation | trait::sure_continuation);
      if (byte >= 0xC2 && byte < 0xE0) add(c, trait::lead_of_2);
      if (byte >= 0xE0 && byte < 0xF0) add(c, trait::lead_of_3);
      if (byte == 0xF0 || byte == 0xF3) add(c, trait::lead_of_4);
    }
  }

  std::vector<Traits> table_;
  std::map<char32_t, Traits> beyond_;
};

Traits traits_of(char32_t c) {
  static const TraitTable table;
  return table[c];
}

// ---- Sequences that give misread text away ----

struct Place {
  Traits traits;
  std::u32string_view characters = {};

  bool matches(char32_t c) const { return (traits_of(c) & traits) != 0 || characters.find(c) != characters.npos; }
};
using Pattern = std::vector<Place>;

Place one_of(std::u32string_view characters) { return {trait::none, characters}; }

std::vector<Pattern> make_patterns() {
  constexpr Traits symbol = trait::box | trait::start | trait::end | trait::currency | trait::numeric | trait::law;
  const Place arabic_lead = one_of(U"ØÙ");
  const Place arabic_trail{trait::common | trait::currency | trait::bad | trait::numeric | trait::start, U"ŸŠ®°µ»"};
  const Place cyrillic_lead = one_of(U"ВГРС");
  const Place greek_lead = one_of(U"ΒΓΞΟ");
  const Place a_lead = one_of(U"ÃÂ");
  const Place blank = one_of(U" ");
  return {
      {{trait::control}},
      {{trait::bad | trait::accented | symbol}, {trait::bad}},
      {{trait::bad}, {trait::accented | symbol}},
      {{trait::ascii_letter}, {trait::lower_common | trait::upper_common}, {trait::bad}},
      {{trait::lower | trait::lower_common | trait::box | trait::end | trait::currency | trait::numeric},
       {trait::upper}},
      {{trait::box | trait::end | trait::currency | trait::numeric}, {trait::lower}},
      {{trait::lower | trait::box | trait::end}, {trait::currency}},
      {{trait::space}, {trait::upper}, {trait::currency}},
      {{trait::upper | trait::box}, {trait::numeric | trait::law}},
      {{trait::accented | trait::box | trait::currency | trait::end}, {trait::start}, {trait::numeric}},
      {{trait::accented | trait::currency | trait::numeric | trait::box | trait::law}, {trait::end}, {trait::start}},
      {{trait::currency | trait::numeric | trait::box}, {trait::start}},
      {{trait::ascii_lower}, {trait::upper}, {trait::start | trait::currency}},
      {{trait::box}, {trait::kaomoji | trait::end}},
      {{trait::accented | trait::currency | trait::numeric | trait::start | trait::end | trait::law}, {trait::box}},
      {{trait::accented}, {trait::start | trait::end}, {trait::word}},
      {{trait::upper}, one_of(U"°")},
      // Windows-1252
      {one_of(U"ÂÃÎÐ"), {trait::start | trait::end, U"€œŠš¢£Ÿž\u00A0\u00AD®©°·»–—´"}},
      {one_of(U"Œœ"), {trait::not_ascii_letter}},
      {one_of(U"×"), one_of(U"²³")},
      {arabic_lead, arabic_trail, arabic_lead, arabic_trail},
      {one_of(U"à"), one_of(U"²µ¹¼½¾")},
      {one_of(U"Ã"), one_of(U"\u00A0¡")},
      {{trait::ascii_lower}, a_lead, blank},
      {{trait::ascii_lower}, {trait::space}, a_lead, blank},
      {{trait::ascii_lower | trait::end, U".,?!"}, one_of(U"Â"), {trait::start | trait::end, U" "}},
      // Mac Roman
      {one_of(U"√"), one_of(U"±∂†≠®™´≤≥¥µø")},
      {one_of(U"≈"), one_of(U"°¢")},
      {one_of(U"‚"), one_of(U"Ä"), one_of(U"ìîïòôúùû†°¢π")},
      {one_of(U"‚"), one_of(U"âó"), one_of(U"àä°ê")},
      // Windows-1251
      {one_of(U"в"), one_of(U"Ђ")},
      {cyrillic_lead,
       {trait::control | trait::bad | trait::start | trait::end | trait::currency, U"°µ"},
       cyrillic_lead},
      {one_of(U"Г"),
       one_of(U"ў"),
       one_of(U"В"),
       one_of(U"Ђ"),
       one_of(U"В"),
       {trait::not_line_feed},
       {trait::ascii_letter, U" "}},
      // Windows-1253 and Windows-1257
      {one_of(U"β"), one_of(U"€"), one_of(U"™\u00A0Ά\u00AD®°")},
      {greek_lead, {trait::control | trait::bad | trait::start | trait::end | trait::currency, U"°"}, greek_lead},
      {one_of(U"ā"), one_of(U"€")},
  };
}

// The patterns, and a bit for each of those that can start with a character.
class PatternIndex {
 public:
  PatternIndex() : patterns_(make_patterns()), starts_(table_size) {
    for (std::size_t i = 0; i < patterns_.size(); ++i) {
      for (auto traits = patterns_[i][0].traits; traits != 0; traits &= traits - 1) {
        starts_of_trait_[static_cast<std::size_t>(std::countr_zero(traits))] |= std::uint64_t{1} << i;
      }
    }
    for (char32_t c = 0; c < table_size; ++c) starts_[c] = starts_by_traits(c);
    for (std::size_t i = 0; i < patterns_.size(); ++i) {
      for (const char32_t c : patterns_[i][0].characters) starts_[c] |= std::uint64_t{1} << i;
    }
  }

  const Pattern& operator[](int i) const { return patterns_[static_cast<std::size_t>(i)]; }
  std::uint64_t starting_with(char32_t c) const { return c < table_size ? starts_[c] : starts_by_traits(c); }

 private:
  std::uint64_t starts_by_traits(char32_t c) const {
    std::uint64_t bits = 0;
    for (auto traits = traits_of(c); traits != 0; traits &= traits - 1) {
      bits |= starts_of_trait_[static_cast<std::size_t>(std::countr_zero(traits))];
    }
    return bits;
  }

  std::vector<Pattern> patterns_;
  std::array<std::uint64_t, 32> starts_of_trait_{};
  std::vector<std::uint64_t> starts_;
};

bool matches_at_start(const Pattern& pattern, std::u32string_view text) {
  if (pattern.size() > text.size()) return false;
  return std::equal(pattern.begin(), pattern.end(), text.begin(),
                    [](const Place& place, char32_t c) { return place.matches(c); });
}

}  // namespace

bool looks_misread(std::u32string_view text) {
  static const PatternIndex index;
  if (text.starts_with(U"Ã ") || text.starts_with(U"Â ")) return true;
  for (; !text.empty(); text.remove_prefix(1)) {
    for (auto bits = index.starting_with(text[0]); bits != 0; bits &= bits - 1) {
      if (matches_at_start(index[std::countr_zero(bits)], text)) return true;
    }
  }
  return false;
}

std::size_t utf8_shaped_length(std::u32string_view text) {
  constexpr std::pair<Traits, std::size_t> leads[] = {
      {trait::lead_of_2, 2}, {trait::lead_of_3, 3}, {trait::lead_of_4, 4}};
  const auto sequence_at = [&](std::size_t at) -> std::size_t {
    const auto is_trail = [](char32_t c) { return (traits_of(c) & trait::continuation) != 0; };
    for (const auto& [lead, length] : leads) {
      if (at + length > text.size() || !(traits_of(text[at]) & lead)) continue;
      const auto trail = text.substr(at + 1, length - 1);
      if (std::all_of(trail.begin(), trail.end(), is_trail)) return length;
    }
    return 0;
  };
  std::size_t end = 0;
  while (end < text.size()) {
    const auto length = sequence_at(end);
    if (length == 0) break;
    end += length;
  }
  return end;
}

bool is_sure_continuation(char32_t c) { return (traits_of(c) & trait::sure_continuation) != 0; }

}  // namespace vlalign
