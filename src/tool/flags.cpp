#include <ATen/Parallel.h>
#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <optional>
#include <sstream>
#include <string_view>

#include "core/ascii.hpp"
#include "core/check.hpp"
#include "core/io/files.hpp"
#include "core/io/input_file.hpp"
#include "core/log.hpp"
#include "core/utf8.hpp"
#include "data/sources/caption_keys.hpp"
#include "kernels/thread_count.hpp"
#include "tool/commands.hpp"

namespace vlalign::tool {
namespace {

/// One character, or \t for a tab, which shells don't make of it; nothing where it can be none.
std::optional<char> separator_of(const std::string& text) {
  if (text == "\\t") return '\t';
  const bool fits = text.size() == 1 && std::string_view("\"\r\n").find(text[0]) == std::string_view::npos;
  return fits ? std::optional(text[0]) : std::nullopt;
}

/// Nothing where it is none. One that double can't hold is 0 or infinite.
std::optional<double> number_in(const std::string& value) {
  if (value.empty()) return std::nullopt;
  double number = 0;
  const auto* end = value.data() + value.size();
  const auto [at, error] = std::from_chars(value.data() + (value.front() == '+' ? 1 : 0), end, number);
  if (error == std::errc::invalid_argument || at != end) return std::nullopt;
  if (error == std::errc::result_out_of_range) return std::strtod(value.c_str(), nullptr);
  return number;
}

}  // namespace

std::string a_number(const std::string& value) {
  return number_in(value) ? "" : "expected a number, got " + (value.empty() ? "none" : value);
}

std::string above_zero(const std::string& value) {
  return number_in(value).value_or(1) <= 0 ? "expected a number above 0, got " + value : "";
}

std::string zero_or_more(const std::string& value) {
  return number_in(value).value_or(0) < 0 ? "expected 0 or more, got " + value : "";
}

std::string not_empty(const std::string& value) { return value.empty() ? "expected some text, got none" : ""; }

std::vector<std::string> read_lines(const std::string& file) {
  std::vector<std::string> lines;
  std::istringstream text(read_text_or_pipe(file));
  std::string line;
  for (int number = 1; next_line(text, line); ++number) {
    check(is_utf8(line), "{}:{}: is not UTF-8", file, number);
    if (const auto words = trim(line); !words.empty()) lines.emplace_back(words);
  }
  check(!lines.empty(), "{}: is empty; expected one entry a line", file);
  return lines;
}

void DataFlags::add(CLI::App& command, const std::string& name) {
  command
      .add_option(
          name, location,
          "Pairs: a .tsv/.csv (filepath, title), a .jsonl or a folder with metadata.jsonl (file_name, text), or tar "
          "shards, e.g. shards/{000..031}.tar or shards/*.tar, also at http(s):// and s3://, from a pipe:COMMAND, or "
          "an index of shards; several with :: between them, A@2::B@1 for one that an epoch holds twice")
      ->required()
      ->check(not_empty);
  add_column_flags(command, columns);
  add_choice_flags(command, columns);
  add_cache_flags(command, columns);
}

void add_choice_flags(CLI::App& command, PairOptions& pairs) {
  command
      .add_option("--where", pairs.where,
                  "Condition on fields of the records' JSON, or of the parquet file beside a shard, or on columns of a "
                  "table, that those taken fulfil, such as 'similarity > 0.3 and width >= 64'")
      ->check(not_empty);
  command
      .add_option_function<std::string>(
          "--caption-keys", [&pairs](const std::string& text) { pairs.caption_keys = parse_caption_keys(text); },
          "Keys of the captions in the records' JSON, or columns of a table, and how often each is drawn, such as "
          "caption=1,re_caption=2")
      ->check([](const std::string& text) {
        try {
          parse_caption_keys(text);
          return std::string();
        } catch (const Error& error) {
          return std::string(error.what());
        }
      });
}

void add_cache_flags(CLI::App& command, PairOptions& pairs) {
  command
      .add_option("--cache", pairs.cache,
                  "Folder for copies of remote shards; vlalign/remote in $XDG_CACHE_HOME or ~/.cache without it")
      ->check(not_empty);
  command.add_option("--cache-gb", pairs.cache_gb, "What these copies may take, in GB")
      ->check(above_zero)
      ->capture_default_str();
}

void add_column_flags(CLI::App& command, PairOptions& columns) {
  command
      .add_option("--image-key", columns.image_key,
                  "Column or key of the picture's path; filepath without it, file_name in a .jsonl or metadata file")
      ->check(not_empty);
  command
      .add_option("--caption-key", columns.caption_key,
                  "Column or key of the caption; title without it, text in a .jsonl or metadata file")
      ->check(not_empty);
  command
      .add_option_function<std::string>(
          "--separator", [&columns](const std::string& text) { columns.separator = separator_of(text); },
          "Between the columns of a .tsv/.csv, such as ; or \\t; without it the one that the header is written with")
      ->check([](const std::string& text) {
        return separator_of(text) ? std::string() : "expected one character or \\t, got \"" + text + "\"";
      });
}

void add_pixels_flag(CLI::App& command, std::optional<PixelsAs>& pixels_as) {
  command
      .add_option_function<std::string>(
          "--pixels-as",
          [&pixels_as](const std::string& who) { pixels_as = who == "peer" ? PixelsAs::peer : PixelsAs::vlalign; },
          "vlalign: upright, transparency on white; peer: alpha and orientation ignored, as open_clip and transformers "
          "do; what the model folder says without it")
      ->check(CLI::IsMember({"vlalign", "peer"}));
}

void CpuFlags::add(CLI::App& command) {
  command.add_option("--threads", threads, "Threads of the arithmetic; all cores without it")
      ->check(CLI::Range(1, largest_thread_count));
  command.add_flag("--json", json, "Print JSON on stdout and nothing else there");
}

void CpuFlags::apply() const {
  if (threads > 0) at::set_num_threads(threads);
}

void DeviceFlags::add(CLI::App& command) {
  command.add_option("--device", device, "cpu, cuda or cuda:N")->capture_default_str();
  CpuFlags::add(command);
}

void RunFlags::add(CLI::App& command) {
  command
      .add_option(
          "--precision", precision,
          "fp32, bf16, on a GPU fp16, or int8 with a model that quantize has prepared: what the towers compute in")
      ->capture_default_str();
  DeviceFlags::add(command);
}

void RunFlags::add_for_training(CLI::App& command) {
  command.add_option("--precision", precision, "fp32, bf16, or on a GPU fp16: what the towers compute in")
      ->capture_default_str();
  DeviceFlags::add(command);
}

EmbedOptions RunFlags::embed_options() const { return {.precision = parse_precision(precision)}; }

void ModelFlags::add(CLI::App& command) {
  command.add_option("--model", folder, "Model folder, such as RUN/model")->required()->check(not_empty);
  add_pixels_flag(command, pixels_as);
  RunFlags::add(command);
}

DualEncoder ModelFlags::load() const {
  const auto where = parse_device(device);
  apply();
  auto model = DualEncoder::load(folder, {.pixels_as = pixels_as});
  model.to(where);
  return model;
}

void warn_of_bad(const std::vector<std::string>& bad, std::size_t named) {
  constexpr std::size_t most = 10;
  if (bad.empty()) return;
  std::string list;
  const auto end = std::min(bad.size(), named + most);
  for (auto i = named; i < end; ++i) list += "\n  " + bad[i];
  if (end < bad.size() && named < end) list += fmt::format("\n  and {} more", bad.size() - end);
  log_warning("{} record(s) could not be read and were left out{}{}", bad.size(), list.empty() ? "" : ":", list);
}

}  // namespace vlalign::tool
