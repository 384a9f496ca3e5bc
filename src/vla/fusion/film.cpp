#include "vlalign/vla/fusion/film.hpp"

#include <ATen/TensorOperators.h>

#include "core/check.hpp"
#include "vla/check_shape.hpp"

namespace vlalign::vla {

FilmLayer::FilmLayer(std::int64_t condition_width, std::int64_t channels, nn::Initializer& initializer) {
  check_size(condition_width, "FilmLayer", "condition_width");
  check_size(channels, "FilmLayer", "channels");
  const nn::Linear::Options zero{.standard_deviation = 0.0, .zero_bias = true};
  dense = register_module("dense", std::make_shared<nn::Linear>(condition_width, 2 * channels, zero, initializer));
}

Tensor FilmLayer::forward(const Tensor& x, const Tensor& condition) const {
  const auto channels = dense->weight.size(0) / 2, width = dense->weight.size(1);
  const bool is_map = x.defined() && x.dim() == 4;
  check_shape(x, is_map ? at::IntArrayRef{any, channels, any, any} : at::IntArrayRef{any, any, channels}, "FilmLayer",
              "x");
  if (!condition.defined() || condition.dim() != 2 || condition.size(0) != x.size(0))
    fail("[FilmLayer] condition: expected [{}, E], got {}", x.size(0), shape_of(condition));
  check_shape(condition, {x.size(0), width}, "FilmLayer", "condition");
  const auto both = dense->forward(condition.to(x.scalar_type()));
  const auto placed = is_map ? both.unsqueeze(-1).unsqueeze(-1) : both.unsqueeze(1);
  const auto parts = placed.chunk(2, is_map ? 1 : 2);
  return (1 + parts[0]) * x + parts[1];
}

Film::Film(const nn::Tower& tower, std::span<const std::int64_t> numbers, std::int64_t condition_width,
           nn::Initializer& initializer) {
  const auto widths = tower.layer_widths();
  const auto count = static_cast<std::int64_t>(widths.size());
  layers.resize(widths.size());
  for (const auto number : numbers) {
    check(number >= -count && number < count, "[Film] layer {}: the tower has {}", number, count);
    const auto at = static_cast<std::size_t>(number < 0 ? number + count : number);
    check(layers[at] == nullptr, "[Film] layer {} is named twice", at);
    layers[at] =
        register_module(std::to_string(at), std::make_shared<FilmLayer>(condition_width, widths[at], initializer));
  }
}

Tensor Film::forward(std::int64_t number, const Tensor& output, const Tensor& condition) const {
  check(number >= 0 && number < std::ssize(layers), "[Film] layer {}: the tower has {}", number, layers.size());
  const auto& layer = layers[static_cast<std::size_t>(number)];
  return layer ? layer->forward(output, condition) : output;
}

nn::LayerHook Film::hook(const Tensor& condition) const {
  return [this, condition](std::int64_t layer, const Tensor& output) { return forward(layer, output, condition); };
}

}  // namespace vlalign::vla
