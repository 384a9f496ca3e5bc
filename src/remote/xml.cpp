#include "remote/xml.hpp"

#include <charconv>
#include <cstdint>
#include <utility>

namespace vlalign {
namespace {

/// Behind "<name" and attributes, the place after ">"; npos when there is no such element from `from` on. An element
/// without content, <name/>, gives an empty one.
std::size_t find_open(std::string_view xml, std::string_view name, std::size_t from, bool& empty) {
  for (auto at = xml.find('<', from); at != xml.npos; at = xml.find('<', at + 1)) {
    const auto rest = xml.substr(at + 1);
    if (!rest.starts_with(name) || rest.size() == name.size()) continue;
    const char next = rest[name.size()];
    if (next != '>' && next != '/' && next != ' ' && next != '\n' && next != '\t' && next != '\r') continue;
    const auto end = xml.find('>', at);
    if (end == xml.npos) return end;
    empty = xml[end - 1] == '/';
    return end + 1;
  }
  return xml.npos;
}

std::string utf8_of(std::uint32_t code) {
  if (code < 0x80) return {static_cast<char>(code)};
  std::string later;  // the bytes behind the first, which says how many they are
  std::uint32_t first = 0x80, room = 0x20;
  for (; code >= room * 2 || later.empty(); code >>= 6, first |= room * 2, room >>= 1)
    later.insert(later.begin(), static_cast<char>(0x80 | (code & 0x3f)));
  return static_cast<char>(first | code) + later;
}

/// What "amp" or "#10" stands for; nothing for what isn't known.
std::optional<std::string> entity(std::string_view name) {
  constexpr std::pair<std::string_view, const char*> known[] = {
      {"amp", "&"}, {"lt", "<"}, {"gt", ">"}, {"quot", "\""}, {"apos", "'"}};
  for (const auto& [word, character] : known) {
    if (name == word) return character;
  }
  if (!name.starts_with('#')) return std::nullopt;
  name.remove_prefix(1);
  const bool hexadecimal = name.starts_with('x');
  if (hexadecimal) name.remove_prefix(1);
  std::uint32_t code = 0;
  const auto [end, fault] = std::from_chars(name.data(), name.data() + name.size(), code, hexadecimal ? 16 : 10);
  if (fault != std::errc() || end != name.data() + name.size() || code > 0x10ffff) return std::nullopt;
  return utf8_of(code);
}

std::string unescaped(std::string_view text) {
  std::string plain;
  while (!text.empty()) {
    const auto at = text.find('&');
    plain += text.substr(0, at);
    if (at == text.npos) break;
    text.remove_prefix(at);
    const auto end = text.find(';');
    const auto meant = end == text.npos ? std::nullopt : entity(text.substr(1, end - 1));
    plain += meant ? *meant : "&";
    text.remove_prefix(meant ? end + 1 : 1);
  }
  return plain;
}

}  // namespace

std::vector<std::string_view> xml_elements(std::string_view xml, std::string_view name) {
  std::vector<std::string_view> found;
  const auto closing = "</" + std::string(name) + ">";
  bool empty = false;
  for (auto at = find_open(xml, name, 0, empty); at != xml.npos; at = find_open(xml, name, at, empty)) {
    if (empty) {
      found.emplace_back();
      continue;
    }
    const auto end = xml.find(closing, at);
    if (end == xml.npos) break;
    found.push_back(xml.substr(at, end - at));
    at = end + closing.size();
  }
  return found;
}

std::optional<std::string> xml_text(std::string_view xml, std::string_view name) {
  const auto found = xml_elements(xml, name);
  if (found.empty()) return std::nullopt;
  return unescaped(found.front());
}

std::string xml_escaped(std::string_view text) {
  std::string escaped;
  for (const char c : text) {
    if (c == '&') {
      escaped += "&amp;";
    } else if (c == '<') {
      escaped += "&lt;";
    } else if (c == '>') {
      escaped += "&gt;";
    } else {
      escaped += c;
    }
  }
  return escaped;
}

}  // namespace vlalign
