#include "train/projector.hpp"

#include <ATen/ops/cat.h>
#include <ATen/ops/tensor.h>

#include <cmath>
#include <nlohmann/json.hpp>
#include <string_view>
#include <vector>

#include "core/check.hpp"
#include "core/io/files.hpp"
#include "core/json/dump_json.hpp"
#include "core/utf8.hpp"
#include "eval/first_captions.hpp"
#include "image/picture_grid.hpp"
#include "remote/percent.hpp"
#include "train/evenly_spaced.hpp"
#include "train/validation_events.hpp"

namespace vlalign {
namespace {

namespace fs = std::filesystem;

constexpr std::int64_t most_pictures = 1000;
constexpr int sprite_side = 32;

std::string tsv_of(const at::Tensor& points) {
  const auto numbers = points.to(at::kFloat).cpu().contiguous();
  const auto* next = numbers.const_data_ptr<float>();
  std::string text;
  for (std::int64_t row = 0; row < numbers.size(0); ++row) {
    for (std::int64_t column = 0; column < numbers.size(1); ++column)
      text += fmt::format("{:.5g}{}", *next++, column + 1 < numbers.size(1) ? '\t' : '\n');
  }
  return text;
}

std::string cell_of(const std::string& text) {
  auto cell = as_utf8(text);
  for (auto& character : cell)
    if (static_cast<unsigned char>(character) < ' ') character = ' ';
  return cell;
}

/// Five lines of a text.
Image text_sign() {
  Image sign{.width = sprite_side, .height = sprite_side, .rgb = {}};
  sign.rgb.assign(std::size_t{3} * sprite_side * sprite_side, 255);
  for (int y = 6; y < sprite_side - 4; y += 5) {
    const int end = y + 5 < sprite_side - 4 ? sprite_side - 5 : sprite_side / 2;
    for (int x = 5; x < end; ++x) {
      for (int line = y; line < y + 2; ++line)
        for (int channel = 0; channel < 3; ++channel)
          sign.rgb[static_cast<std::size_t>(3 * (line * sprite_side + x) + channel)] = 70;
    }
  }
  return sign;
}

/// The part of each set's file names before their endings.
std::string stem_of(const std::string& name) { return "projector/" + percent_encoded(name); }

void write_png(const fs::path& path, const Image& picture) {
  const auto png = encode_png(picture);
  write_file_atomically(path, {reinterpret_cast<const char*>(png.data()), png.size()});
}

}  // namespace

void Projector::write(const std::string& name, const Embeddings& embeddings, const PairSource& source) {
  const auto rows = evenly_spaced(embeddings.image.size(0), most_pictures);
  const auto first = first_captions(embeddings);
  std::vector<std::int64_t> captions;
  std::vector<Image> sprites;
  std::string of_pictures = "caption\tkind\trecord\n", of_captions;
  for (const auto row : rows) {
    const auto place = static_cast<std::size_t>(row);
    captions.push_back(first[place]);
    sprites.push_back(thumbnail(source, embeddings.records[place], sprite_side));
    const auto caption = cell_of(embeddings.captions[static_cast<std::size_t>(first[place])]);
    of_pictures += fmt::format("{}\tpicture\t{}\n", caption, cell_of(embeddings.names[place]));
    of_captions += fmt::format("{}\tcaption\t{}\n", caption, cell_of(embeddings.names[place]));
  }
  sprites.resize(2 * rows.size(), text_sign());
  const auto chosen = [](const at::Tensor& all, const std::vector<std::int64_t>& which) {
    return all.index_select(0, at::tensor(which, at::kLong).to(all.device()));
  };
  const auto points = at::cat({chosen(embeddings.image, rows), chosen(embeddings.text, captions)});

  std::error_code error;
  fs::create_directories(run_ / "projector", error);
  check(!error, "{}: cannot make the folder: {}", (run_ / "projector").string(), error.message());
  const auto stem = (run_ / stem_of(name)).string();
  write_file_atomically(stem + ".vectors.tsv", tsv_of(points));
  write_file_atomically(stem + ".labels.tsv", of_pictures + of_captions);
  const auto columns = static_cast<int>(std::ceil(std::sqrt(static_cast<double>(sprites.size()))));
  write_png(stem + ".png", picture_grid(sprites, sprite_side, columns));
  sets_[name] = {.points = points.size(0), .width = points.size(1)};
  write_config();
}

void Projector::write_config() const {
  std::string config;
  const auto quoted = [](const std::string& text) { return dump_readable(nlohmann::json(text)); };
  for (const auto& [name, size] : sets_) {
    const auto stem = stem_of(name);
    config += fmt::format(
        "embeddings {{\n  tensor_name: {}\n  tensor_path: {}\n  tensor_shape: {}\n  tensor_shape: {}\n"
        "  metadata_path: {}\n  sprite {{ image_path: {} single_image_dim: {} single_image_dim: {} }}\n}}\n",
        quoted(name), quoted(stem + ".vectors.tsv"), size.points, size.width, quoted(stem + ".labels.tsv"),
        quoted(stem + ".png"), sprite_side, sprite_side);
  }
  write_file_atomically(run_ / "projector_config.pbtxt", config);
}

}  // namespace vlalign
