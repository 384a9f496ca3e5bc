// The program's subcommands: each parses, calls the library and prints.
#pragma once

#include <CLI/CLI.hpp>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "vlalign/core/device.hpp"
#include "vlalign/data/sources/pairs.hpp"
#include "vlalign/eval/embed.hpp"
#include "vlalign/model/dual_encoder.hpp"

namespace vlalign::tool {

void add_train(CLI::App& program);
void add_launch(CLI::App& program);
void add_bench(CLI::App& program);
void add_eval(CLI::App& program);
void add_zero_shot(CLI::App& program);
void add_embed(CLI::App& program);
void add_search(CLI::App& program);
void add_inspect(CLI::App& program);
void add_convert(CLI::App& program);
void add_export(CLI::App& program);
void add_quantize(CLI::App& program);
void add_interpolate(CLI::App& program);
void add_index(CLI::App& program);
void add_linear_probe(CLI::App& program);
void add_report(CLI::App& program);

/// The words behind `train` with those of the recipe that they name in front of them; see recipe.hpp.
std::vector<std::string> with_recipe_of_train(const std::vector<std::string>& words);

/// For options that name a file, a folder or words: what is wrong with no text, as CLI11's check() wants it.
std::string not_empty(const std::string& value);

/// For options that are numbers: what is wrong with one that is none, that isn't above 0, or that is below it.
std::string a_number(const std::string& value);
std::string above_zero(const std::string& value);
std::string zero_or_more(const std::string& value);

/// The lines of a text file that aren't blank, without white space at their ends. Throws Error for an empty file and
/// for what is no UTF-8.
std::vector<std::string> read_lines(const std::string& file);

/// --where and --caption-keys.
void add_choice_flags(CLI::App& command, PairOptions& pairs);

/// --cache and --cache-gb.
void add_cache_flags(CLI::App& command, PairOptions& pairs);

/// --image-key, --caption-key and --separator.
void add_column_flags(CLI::App& command, PairOptions& columns);

/// --pixels-as.
void add_pixels_flag(CLI::App& command, std::optional<PixelsAs>& pixels_as);

/// Where the columns of a table of pairs are named.
struct DataFlags {
  std::string location;
  PairOptions columns;

  void add(CLI::App& command, const std::string& name = "--data");
  std::shared_ptr<const PairSource> open() const { return open_pairs(location, columns); }
};

/// --threads and --json.
struct CpuFlags {
  int threads = 0;
  bool json = false;

  void add(CLI::App& command);
  void apply() const;
};

/// The same, and --device.
struct DeviceFlags : CpuFlags {
  std::string device = "cpu";

  void add(CLI::App& command);
};

/// The same, and --precision.
struct RunFlags : DeviceFlags {
  std::string precision = "fp32";

  void add(CLI::App& command);
  void add_for_training(CLI::App& command);
  EmbedOptions embed_options() const;
};

/// A trained model: --model, --pixels-as and how it runs.
struct ModelFlags : RunFlags {
  std::string folder;
  std::optional<PixelsAs> pixels_as;  ///< the model's own without it

  void add(CLI::App& command);
  DualEncoder load() const;
};

/// One warning that counts the records that could not be read, and names them, of many the first ten, but for as many
/// at the list's beginning as were named before.
void warn_of_bad(const std::vector<std::string>& bad, std::size_t named = 0);

}  // namespace vlalign::tool
