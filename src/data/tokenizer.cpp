#include "vlalign/data/tokenizer.hpp"

#include <ATen/ops/full.h>
#include <zlib.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <optional>
#include <utility>

#include "core/check.hpp"
#include "core/files.hpp"
#include "vlalign/data/clip_tokenizer.hpp"

namespace vlalign {
namespace {

namespace fs = std::filesystem;
using Merge = ClipTokenizer::Merge;
using Vocabulary = ClipTokenizer::Vocabulary;
using TokenizerPointer = std::shared_ptr<const Tokenizer>;

// The file's name in front of what is wrong with its contents.
template <typename Function>
auto naming(const fs::path& file, Function function) {
  try {
    return function();
  } catch (const Error& error) {
    fail("{}: {}", file.string(), error.what());
  } catch (const nlohmann::json::exception& error) {
    fail("{}: {}", file.string(), error.what());
  }
}

std::string gunzip(std::string_view compressed) {
  constexpr std::size_t kLargest = std::size_t{1} << 28;
  constexpr int kGzip = 16 + MAX_WBITS;
  z_stream stream{};
  check(inflateInit2(&stream, kGzip) == Z_OK, "zlib doesn't start");
  const std::unique_ptr<z_stream, int (*)(z_stream*)> end(&stream, inflateEnd);
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(compressed.data()));
  stream.avail_in = static_cast<uInt>(compressed.size());
  std::string text;
  for (int status = Z_OK; status != Z_STREAM_END;) {
    char chunk[1 << 16];
    stream.next_out = reinterpret_cast<Bytef*>(chunk);
    stream.avail_out = sizeof(chunk);
    status = inflate(&stream, Z_NO_FLUSH);
    check(status == Z_OK || status == Z_STREAM_END, "damaged or cut gzip data ({})",
          stream.msg ? stream.msg : "it ends early");
    text.append(chunk, sizeof(chunk) - stream.avail_out);
    check(text.size() <= kLargest, "more than {} bytes of text: not a vocabulary", kLargest);
  }
  check(stream.avail_in == 0, "{} bytes follow the gzip data", stream.avail_in);
  return text;
}

Merge parse_merge(std::string_view line) {
  const auto space = line.find(' ');
  const bool is_pair = space != line.npos && space != 0 && space + 1 < line.size() && space == line.rfind(' ');
  check(is_pair, "expected two symbols with a space between them, got '{}'", line);
  return {std::string(line.substr(0, space)), std::string(line.substr(space + 1))};
}

// The lines behind the first, which tells the version.
std::vector<Merge> parse_merges(std::string_view text, std::size_t limit) {
  check(!text.empty(), "the file is empty");
  std::vector<Merge> merges;
  for (std::size_t number = 1; !text.empty() && merges.size() < limit; ++number) {
    const auto end = text.find('\n');
    auto line = text.substr(0, end);
    text.remove_prefix(end == text.npos ? text.size() : end + 1);
    if (line.ends_with('\r')) line.remove_suffix(1);
    if (number == 1) {
      check(line.find("#version") != line.npos, "line 1: expected '#version', got '{}'", line.substr(0, 80));
    } else if (!line.empty()) {
      naming("line " + std::to_string(number), [&] { merges.push_back(parse_merge(line)); });
    }
  }
  return merges;
}

TokenizerPointer load_merges(const fs::path& file) {
  constexpr std::size_t kClipMerges = 49152 - 256 - 2;  // CLIP's file holds more, of which it uses none
  const auto contents = read_file(file);
  return naming(file, [&] {
    const bool is_gzip = contents.starts_with("\x1F\x8B");
    return std::make_shared<const ClipTokenizer>(parse_merges(is_gzip ? gunzip(contents) : contents, kClipMerges));
  });
}

TokenizerPointer load_vocabulary_and_merges(const fs::path& vocabulary_file, const fs::path& merges_file) {
  const auto merges_text = read_file(merges_file);
  const auto merges = naming(merges_file, [&] { return parse_merges(merges_text, merges_text.size()); });
  const auto json = read_file(vocabulary_file);
  return naming(vocabulary_file, [&] {
    return std::make_shared<const ClipTokenizer>(merges, nlohmann::json::parse(json).get<Vocabulary>());
  });
}

Merge parse_json_merge(const nlohmann::json& merge) {
  return merge.is_array() ? merge.get<Merge>() : parse_merge(merge.get<std::string>());
}

TokenizerPointer parse_tokenizer_json(const std::string& text) {
  const auto json = nlohmann::json::parse(text);
  const auto& model = json.at("model");
  const auto type = model.value("type", "BPE");
  const auto suffix = model.contains("end_of_word_suffix") && model.at("end_of_word_suffix").is_string()
                          ? model.at("end_of_word_suffix").get<std::string>()
                          : std::string();
  check(
      type == "BPE" && suffix == "</w>",
      "model: expected CLIP's byte-level BPE (type BPE, end_of_word_suffix </w>), got type {}, end_of_word_suffix '{}'",
      type, suffix);
  auto vocabulary = model.at("vocab").get<Vocabulary>();
  for (const auto& token : json.value("added_tokens", nlohmann::json::array())) {
    vocabulary.emplace(token.at("content").get<std::string>(), token.at("id").get<std::int64_t>());
  }
  const auto& merge_list = model.at("merges");
  check(merge_list.is_array(), "model.merges: expected an array, got {}", merge_list.type_name());
  std::vector<Merge> merges;
  for (const auto& merge : merge_list) merges.push_back(parse_json_merge(merge));
  return std::make_shared<const ClipTokenizer>(merges, vocabulary);
}

TokenizerPointer load_tokenizer_json(const fs::path& file) {
  const auto text = read_file(file);
  return naming(file, [&] { return parse_tokenizer_json(text); });
}

TokenizerPointer load_folder(const fs::path& folder) {
  const auto json = folder / "tokenizer.json";
  const auto vocabulary = folder / "vocab.json";
  const auto merges = folder / "merges.txt";
  if (fs::exists(json)) return load_tokenizer_json(json);
  check(fs::exists(vocabulary) && fs::exists(merges),
        "{}: expected tokenizer.json, or vocab.json and merges.txt, in this folder", folder.string());
  return load_vocabulary_and_merges(vocabulary, merges);
}

}  // namespace

TokenizerPointer load_tokenizer(const fs::path& path) {
  if (fs::is_directory(path)) return load_folder(path);
  return path.extension() == ".json" ? load_tokenizer_json(path) : load_merges(path);
}

at::Tensor tokenize(const Tokenizer& tokenizer, std::span<const std::string> captions, std::int64_t context_length) {
  std::vector<std::vector<std::int64_t>> rows;
  rows.reserve(captions.size());
  std::size_t longest = 0;
  for (const auto& caption : captions) {
    rows.push_back(tokenizer.encode(caption, context_length));
    longest = std::max(longest, rows.back().size());
  }
  auto tokens = at::full({static_cast<std::int64_t>(rows.size()), static_cast<std::int64_t>(longest)},
                         tokenizer.pad_id(), at::TensorOptions(at::kLong));
  auto* row_start = tokens.mutable_data_ptr<std::int64_t>();
  for (const auto& row : rows) {
    std::copy(row.begin(), row.end(), row_start);
    row_start += longest;
  }
  return tokens;
}

}  // namespace vlalign
