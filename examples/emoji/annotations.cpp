#include "annotations.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <libxml/parser.h>
#include <libxml/tree.h>

#include <algorithm>
#include <functional>
#include <memory>
#include <set>
#include <sstream>
#include <utility>

#include "vlalign/core/error.hpp"

namespace emoji {
namespace {

namespace fs = std::filesystem;

using Document = std::shared_ptr<xmlDoc>;

std::string trimmed(std::string_view text) {
  constexpr std::string_view blanks = " \t\r\n";
  const auto first = text.find_first_not_of(blanks);
  if (first == std::string_view::npos) return {};
  return std::string(text.substr(first, text.find_last_not_of(blanks) - first + 1));
}

Document read_xml(const fs::path& file) {
  if (!fs::exists(file)) {
    throw vlalign::Error(fmt::format("[cldr] {}: no such file; unicode-cldr-core has it", file.string()));
  }
  Document document(xmlReadFile(file.c_str(), nullptr, XML_PARSE_NONET | XML_PARSE_NOERROR | XML_PARSE_NOWARNING),
                    xmlFreeDoc);
  if (!document) {
    const auto* error = xmlGetLastError();
    throw vlalign::Error(fmt::format("[cldr] {}: line {}: {}", file.string(), error ? error->line : 0,
                                     error && error->message ? trimmed(error->message) : "cannot read"));
  }
  return document;
}

std::string take(xmlChar* text) {
  const std::unique_ptr<xmlChar, decltype(xmlFree)> owned(text, xmlFree);
  return text ? reinterpret_cast<const char*>(text) : std::string();
}

std::string attribute(xmlNode* node, const char* name) {
  return take(xmlGetProp(node, reinterpret_cast<const xmlChar*>(name)));
}

void for_each_element(xmlNode* parent, std::string_view name, const std::function<void(xmlNode*)>& visit) {
  for (auto* node = parent->children; node; node = node->next) {
    if (node->type == XML_ELEMENT_NODE && reinterpret_cast<const char*>(node->name) == name) visit(node);
  }
}

std::string without_emoji_style(std::string sequence) {
  constexpr std::string_view emoji_style = "\uFE0F";
  for (auto at = sequence.find(emoji_style); at != std::string::npos; at = sequence.find(emoji_style, at)) {
    sequence.erase(at, emoji_style.size());
  }
  return sequence;
}

std::vector<std::string> split_keywords(const std::string& text) {
  std::vector<std::string> keywords;
  std::istringstream stream(text);
  for (std::string keyword; std::getline(stream, keyword, '|');) {
    if (keyword = trimmed(keyword); !keyword.empty()) keywords.push_back(std::move(keyword));
  }
  return keywords;
}

// Adds what `annotations` does not have yet.
void complete(Annotations& annotations, const fs::path& file) {
  constexpr std::string_view inherited = "↑↑↑";
  const auto document = read_xml(file);
  for_each_element(xmlDocGetRootElement(document.get()), "annotations", [&](xmlNode* list) {
    for_each_element(list, "annotation", [&](xmlNode* node) {
      const auto text = trimmed(take(xmlNodeGetContent(node)));
      if (text.empty() || text == inherited) return;
      auto& annotation = annotations[without_emoji_style(attribute(node, "cp"))];
      if (attribute(node, "type") == "tts") {
        if (annotation.name.empty()) annotation.name = text;
      } else if (annotation.keywords.empty()) {
        annotation.keywords = split_keywords(text);
      }
    });
  });
}

// Locale -> parent, for the locales whose parent is not the locale cut at its last '_'.
std::map<std::string, std::string> read_parents(const fs::path& cldr) {
  std::map<std::string, std::string> parents;
  const auto document = read_xml(cldr / "supplemental" / "supplementalData.xml");
  for_each_element(xmlDocGetRootElement(document.get()), "parentLocales", [&](xmlNode* list) {
    if (!attribute(list, "component").empty()) return;  // parents for collation and the like
    for_each_element(list, "parentLocale", [&](xmlNode* node) {
      std::istringstream locales(attribute(node, "locales"));
      for (std::string locale; locales >> locale;) parents[locale] = attribute(node, "parent");
    });
  });
  return parents;
}

std::string parent_of(const std::string& locale, const std::map<std::string, std::string>& parents) {
  if (const auto found = parents.find(locale); found != parents.end()) return found->second;
  const auto cut = locale.rfind('_');
  return cut == std::string::npos ? "root" : locale.substr(0, cut);
}

std::set<std::string> languages(const fs::path& cldr) {
  const auto folder = cldr / "annotations";
  if (!fs::is_directory(folder)) {
    throw vlalign::Error(fmt::format(
        "[cldr] {}: no such folder. Install it with: apt-get install unicode-cldr-core; or name another with --cldr",
        folder.string()));
  }
  std::set<std::string> names;
  for (const auto& entry : fs::directory_iterator(folder)) {
    if (entry.path().extension() == ".xml" && entry.path().stem() != "root") names.insert(entry.path().stem());
  }
  return names;
}

// Those whose code before the first '_' shares the longest beginning with that of `language`.
std::vector<std::string> close_to(std::string_view language, const std::set<std::string>& known) {
  std::vector<std::string> closest;
  std::size_t longest = 1;
  for (const auto& name : known) {
    const auto code = std::string_view(name).substr(0, name.find('_'));
    const auto wanted = language.substr(0, language.find('_'));
    const auto differs = std::mismatch(code.begin(), code.end(), wanted.begin(), wanted.end()).first;
    const auto shared = static_cast<std::size_t>(differs - code.begin());
    if (shared > longest) closest.clear();
    if (shared >= longest) closest.push_back(name);
    longest = std::max(longest, shared);
  }
  return closest;
}

}  // namespace

Annotations read_annotations(const fs::path& cldr, std::string_view language) {
  const auto known = languages(cldr);
  if (!known.contains(std::string(language))) {
    const auto close = close_to(language, known);
    throw vlalign::Error(fmt::format("[cldr] language: no '{}' among the {} of {}{}", language, known.size(),
                                     (cldr / "annotations").string(),
                                     close.empty() ? "" : fmt::format("; close to it: {}", fmt::join(close, ", "))));
  }
  const auto parents = read_parents(cldr);
  Annotations annotations;
  for (std::string locale(language); locale != "root"; locale = parent_of(locale, parents)) {
    for (const auto* folder : {"annotations", "annotationsDerived"}) {
      const auto file = cldr / folder / (locale + ".xml");
      if (fs::exists(file)) complete(annotations, file);
    }
  }
  return annotations;
}

}  // namespace emoji
