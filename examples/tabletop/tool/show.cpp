#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <string>

#include "core/io/files.hpp"
#include "tabletop/camera.hpp"
#include "tabletop/tool/commands.hpp"

namespace tabletop::tool {
namespace {

struct ShowSettings {
  std::uint64_t seed = 0;
  std::string out;
  int size = 64;
  int enlarge = 3;
  int rows = 4;
  int columns = 6;
};

void paste(const vlalign::Image& picture, int enlarge, int left, int top, vlalign::Image& sheet) {
  for (int y = 0; y < picture.height * enlarge; ++y) {
    for (int x = 0; x < picture.width * enlarge; ++x) {
      const auto from = 3 * (std::size_t{1} * (y / enlarge) * picture.width + x / enlarge);
      const auto to = 3 * (std::size_t{1} * (top + y) * sheet.width + left + x);
      std::copy_n(picture.rgb.begin() + static_cast<std::ptrdiff_t>(from), 3,
                  sheet.rgb.begin() + static_cast<std::ptrdiff_t>(to));
    }
  }
}

void show(const ShowSettings& settings) {
  Camera camera(settings.size, settings.size);
  const auto cell = settings.size * settings.enlarge + 4;
  vlalign::Image sheet{cell * settings.columns, cell * settings.rows, {}};
  sheet.rgb.resize(std::size_t{3} * sheet.width * sheet.height);
  std::string text;
  for (int i = 0; i < settings.rows * settings.columns; ++i) {
    const auto start = make_episode(settings.seed + i, Combinations::all, Wording::demonstrated);
    const auto row = i / settings.columns;
    const auto column = i % settings.columns;
    paste(camera.render(Simulation(start)), settings.enlarge, cell * column, cell * row, sheet);
    text += fmt::format("row {}, column {}: {}\n", row + 1, column + 1, start.instruction);
  }
  const auto png = vlalign::encode_png(sheet);
  vlalign::write_file_atomically(settings.out, {reinterpret_cast<const char*>(png.data()), png.size()});
  const auto beside = std::filesystem::path(settings.out).replace_extension(".txt");
  vlalign::write_file_atomically(beside, text);
  fmt::print("{}: {} scenes; what to do in each: {}\n", settings.out, settings.rows * settings.columns,
             beside.string());
}

}  // namespace

void add_show(CLI::App& program) {
  auto& command = *program.add_subcommand("show", "Draws scenes side by side, and writes their instructions beside.");
  auto settings = std::make_shared<ShowSettings>();
  command.add_option("--seed", settings->seed, "of the first scene")->capture_default_str();
  command.add_option("--out", settings->out, "the PNG to write")->required();
  command.add_option("--size", settings->size, "pixels a side")->check(CLI::Range(16, 512))->capture_default_str();
  command.add_option("--enlarge", settings->enlarge, "pixels for each pixel")
      ->check(CLI::Range(1, 16))
      ->capture_default_str();
  command.callback([settings] { show(*settings); });
}

}  // namespace tabletop::tool
