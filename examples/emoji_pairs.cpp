// Makes image-text pairs from two Debian packages: pictures out of fonts-noto-color-emoji, names and keywords in some
// 140 languages out of unicode-cldr-core. Nothing is downloaded.
#include <fcntl.h>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <array>
#include <cctype>
#include <cerrno>
#include <cmath>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <limits>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "emoji/annotations.hpp"
#include "emoji/font.hpp"
#include "emoji/split.hpp"
#include "vlalign/core/error.hpp"
#include "vlalign/core/random.hpp"

namespace {

namespace fs = std::filesystem;
using emoji::Annotation;
using emoji::Part;
using nlohmann::json;
using vlalign::Error;

struct Settings {
  std::string out;
  std::string language = "en";
  std::uint64_t seed = 1;
  std::string font = "/usr/share/fonts/truetype/noto/NotoColorEmoji.ttf";
  std::string cldr = "/usr/share/unicode/cldr/common";
};

struct Picture {
  std::string sequence;  // UTF-8 without U+FE0F
  std::string name;      // in English
  std::string png;
  Part part;
};

// Written into the folder; equal stamps mean equal data. Count up "format" when the data made from the same settings
// changes.
constexpr const char* stamp_name = "emoji_pairs.json";

json stamp(const Settings& s) {
  return {{"format", 2}, {"language", s.language}, {"seed", s.seed}, {"font", s.font}, {"cldr", s.cldr}};
}

// Every emoji with a picture and an English name. The split looks at the English name only, so that the tests hold the
// same pictures in every language.
std::vector<Picture> read_pictures(const Settings& settings) {
  const emoji::Font font(settings.font);
  std::vector<Picture> pictures;
  std::vector<std::string> names;
  for (const auto& [sequence, annotation] : emoji::read_annotations(settings.cldr, "en")) {
    if (annotation.name.empty()) continue;
    if (auto png = font.picture(sequence)) {
      pictures.push_back({sequence, annotation.name, std::move(*png), Part::train});
      names.push_back(annotation.name);
    }
  }
  if (pictures.empty()) {
    throw Error(fmt::format("[emoji_pairs] {}: holds no picture of any emoji; is the file whole?", settings.font));
  }
  const auto parts = emoji::split(names, settings.seed);
  for (std::size_t i = 0; i < parts.size(); ++i) pictures[i].part = parts[i];
  return pictures;
}

// A training pair's captions. Training draws one of them each time: in 3 draws of 5 the name, else some of the
// keywords.
std::vector<std::string> captions(const Annotation& annotation, std::initializer_list<std::uint64_t> key) {
  if (annotation.keywords.empty()) return {annotation.name};
  std::vector<std::string> drawn(12, annotation.name);
  vlalign::Rng rng(key);
  auto keywords = annotation.keywords;
  while (drawn.size() < 20) {
    for (std::size_t i = keywords.size() - 1; i > 0; --i) std::swap(keywords[i], keywords[rng.below(i + 1)]);
    const auto share = rng.uniform(0.2, 0.8) * static_cast<double>(keywords.size());
    const auto count = std::max<std::ptrdiff_t>(1, std::lround(share));
    drawn.push_back(fmt::format("{}", fmt::join(keywords.begin(), keywords.begin() + count, ", ")));
  }
  return drawn;
}

// "1f469-200d-1f692"
std::string code_points(std::string_view utf8) {
  std::vector<std::string> hexadecimal;
  for (std::size_t i = 0; i < utf8.size();) {
    const auto lead = static_cast<unsigned char>(utf8[i++]);
    std::uint32_t point = lead < 0x80 ? lead : lead < 0xe0 ? lead & 0x1fU : lead < 0xf0 ? lead & 0x0fU : lead & 0x07U;
    while (i < utf8.size() && (utf8[i] & 0xc0) == 0x80) point = point << 6 | (utf8[i++] & 0x3fU);
    hexadecimal.push_back(fmt::format("{:x}", point));
  }
  return fmt::format("{}", fmt::join(hexadecimal, "-"));
}

// For people who look through the folder: the name's ASCII letters and digits, then the code points, which tell alike
// ones apart.
std::string file_name_of(const Picture& picture) {
  std::string words;
  for (const unsigned char letter : picture.name) {
    if (letter < 0x80 && std::isalnum(letter) != 0) {
      words += static_cast<char>(std::tolower(letter));
    } else if (!words.empty() && words.back() != '-') {
      words += '-';
    }
  }
  if (!words.empty() && words.back() != '-') words += '-';
  return fmt::format("images/{}{}.png", words, code_points(picture.sequence));
}

void write_file(const fs::path& path, std::string_view contents) {
  std::ofstream stream(path, std::ios::binary);
  stream << contents;
  stream.close();
  if (!stream) throw Error(fmt::format("[emoji_pairs] {}: cannot write: {}", path.string(), std::strerror(errno)));
}

struct Table {
  Part part;
  const char* file;
  const char* what;
  std::int64_t pairs = 0;
  std::string lines = {};
};

std::array<Table, 3> write_pairs(const fs::path& folder, const Settings& settings) {
  std::array<Table, 3> tables{Table{Part::train, "train.jsonl", "to train on"},
                              Table{Part::combinations, "combinations.jsonl", "test: unseen combinations"},
                              Table{Part::concepts, "concepts.jsonl", "test: unseen concepts"}};
  const auto annotations = emoji::read_annotations(settings.cldr, settings.language);
  fs::create_directories(folder / "images");
  for (const auto& picture : read_pictures(settings)) {
    const auto found = annotations.find(picture.sequence);
    if (picture.part == Part::left_out || found == annotations.end() || found->second.name.empty()) continue;
    const auto file_name = file_name_of(picture);
    write_file(folder / file_name, picture.png);
    auto& table = tables[static_cast<std::size_t>(picture.part)];
    const auto& annotation = found->second;
    const json text = picture.part == Part::train
                          ? json(captions(annotation, {settings.seed, emoji::fnv1a(picture.sequence)}))
                          : json(annotation.name);
    table.lines += json{{"file_name", file_name}, {"text", text}}.dump() + "\n";
    ++table.pairs;
  }
  for (const auto& table : tables) {
    if (table.pairs == 0) {
      throw Error(fmt::format("[emoji_pairs] {}: no pairs for {}: the CLDR names too few emoji in '{}'", settings.out,
                              table.file, settings.language));
    }
    write_file(folder / table.file, table.lines);
  }
  write_file(folder / stamp_name, stamp(settings).dump(2) + "\n");
  return tables;
}

void sync(const fs::path& folder) {
  const int fd = ::open(folder.c_str(), O_RDONLY | O_DIRECTORY);
  const bool synced = fd >= 0 && ::syncfs(fd) == 0;  // one call instead of thousands of fsync
  if (fd >= 0) ::close(fd);
  if (!synced) throw Error(fmt::format("[emoji_pairs] {}: cannot sync: {}", folder.string(), std::strerror(errno)));
}

// The pairs are made beside their place and renamed, so that a folder of this name is always whole.
std::array<Table, 3> make_pairs(const Settings& settings) {
  const fs::path out(settings.out);
  const fs::path partial = fmt::format("{}.partial-{}", settings.out, ::getpid());
  const fs::path replaced = partial.string() + "-old";
  try {
    const auto tables = write_pairs(partial, settings);
    sync(partial);
    if (fs::exists(out)) fs::rename(out, replaced);
    fs::rename(partial, out);
    fs::remove_all(replaced);
    return tables;
  } catch (const std::exception& error) {
    std::error_code ignored;
    fs::remove_all(partial, ignored);
    const auto* of_file = dynamic_cast<const fs::filesystem_error*>(&error);
    if (!of_file) throw;
    throw Error(fmt::format("[emoji_pairs] --out {}: cannot write: {}", settings.out, of_file->code().message()));
  }
}

bool is_there_already(const Settings& settings) {
  const fs::path out(settings.out);
  if (!fs::exists(out)) return false;
  if (fs::is_directory(out) && fs::is_empty(out)) return false;
  if (!fs::exists(out / stamp_name)) {
    throw Error(fmt::format(
        "[emoji_pairs] --out {}: holds something else; name a folder that is empty or not there yet", settings.out));
  }
  std::ifstream stream(out / stamp_name);
  return json::parse(stream, nullptr, false) == stamp(settings);
}

int run(const Settings& settings) {
  if (is_there_already(settings)) {
    fmt::print("{}: made before with the same settings, reused\n", settings.out);
    return 0;
  }
  for (const auto& table : make_pairs(settings)) {
    fmt::print("{:>5} pairs in {}, {}\n", table.pairs, (fs::path(settings.out) / table.file).string(), table.what);
  }
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  Settings settings;
  CLI::App app("Image-text pairs from the emoji of a font and their names in a language");
  app.add_option("--out", settings.out, "the folder to make")->required();
  app.add_option("--language", settings.language, "a CLDR language, such as en, zh or pt_PT")->capture_default_str();
  app.add_option("--seed", settings.seed, "which tenth tests unseen combinations (1 to 10, then again); draws keywords")
      ->check(CLI::Range(std::int64_t{0}, std::numeric_limits<std::int64_t>::max()))
      ->capture_default_str();
  app.add_option("--font", settings.font, "a font with PNG pictures")->capture_default_str();
  app.add_option("--cldr", settings.cldr, "the CLDR's folder common")->capture_default_str();
  try {
    app.parse(argc, argv);
    std::replace(settings.language.begin(), settings.language.end(), '-', '_');
    while (settings.out.size() > 1 && settings.out.ends_with('/')) settings.out.pop_back();
    return run(settings);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : 2;
  } catch (const fs::filesystem_error& error) {
    std::cerr << "error: " << error.path1().string() << ": " << error.code().message() << "\n";
    return 1;
  } catch (const std::exception& error) {
    std::cerr << "error: " << error.what() << "\n";
    return 1;
  }
}
