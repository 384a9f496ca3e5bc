#include "export/preprocess_graph.hpp"

#include <ATen/ops/tensor.h>

#include "export/graph_builder.hpp"

namespace vlalign::onnx {
namespace {

constexpr std::int64_t preprocess_opset = 18;  // the first with antialias

/// The nodes of one preprocessing; sizes are int64 [1].
class PreprocessNodes {
 public:
  explicit PreprocessNodes(const Preprocess& how) : how_(how), graph_("preprocess", preprocess_opset, {}) {}

  Model make() {
    const auto picture = graph_.add_input({"picture", at::kByte, {"height", "width", 3}});
    const auto height = dimension(picture, 0), width = dimension(picture, 1);
    const auto channels = graph_.add("Transpose", {picture}, {{"perm", std::vector<std::int64_t>{2, 0, 1}}});
    const auto batch = graph_.add("Unsqueeze", {channels, number(0)});
    const auto floating = graph_.cast(batch, at::kByte, at::kFloat);
    const auto new_height = resized(height, height, width), new_width = resized(width, height, width);
    const auto wide = resize(floating, height, new_width);  // along the rows first, as PIL
    const auto whole = resize(wide, new_height, new_width);
    const auto pixels = normalized(cropped(cropped(whole, new_height, 2), new_width, 3));
    const std::int64_t side = how_.image_size;
    graph_.add_output({"pixels", at::kFloat, {1, 3, side, side}}, pixels);
    return std::move(graph_).finish({});
  }

 private:
  Name number(std::int64_t value) { return graph_.integers({value}); }
  Name dimension(const Name& value, std::int64_t axis) {
    return graph_.add("Shape", {value}, {{"start", axis}, {"end", axis + 1}});
  }
  std::int64_t target() const { return how_.resize_size > 0 ? how_.resize_size : how_.image_size; }

  /// As evaluation_plan() has it: the longer side in proportion, rounded down.
  Name resized(const Name& side, const Name& height, const Name& width) {
    if (how_.resize == Preprocess::Resize::squash) return number(target());
    const auto shorter = graph_.add("Min", {height, width});
    return graph_.add("Div", {graph_.add("Mul", {side, number(target())}), shorter});
  }

  /// Rounded to 8 bits, as each of PIL's passes is.
  Name resize(const Name& picture, const Name& height, const Name& width) {
    const bool cubic = how_.interpolation == Interpolation::bicubic;
    Attributes attributes{{"mode", std::string(cubic ? "cubic" : "linear")},
                          {"coordinate_transformation_mode", std::string("half_pixel")},
                          {"antialias", std::int64_t{1}},
                          {"exclude_outside", std::int64_t{1}}};
    if (cubic) attributes["cubic_coeff_a"] = -0.5;  // PIL's
    const auto sizes = graph_.add("Concat", {number(1), number(3), height, width}, {{"axis", std::int64_t{0}}});
    const auto smooth = graph_.add("Resize", {picture, "", "", sizes}, attributes);
    const auto floor = graph_.scalar(0, at::kFloat), ceiling = graph_.scalar(255, at::kFloat);
    return graph_.add("Clip", {graph_.add("Round", {smooth}), floor, ceiling});
  }

  /// The middle; a half is rounded to the even number, or down.
  Name cropped(const Name& picture, const Name& side, std::int64_t axis) {
    const auto two = number(2);
    auto margin = graph_.add("Sub", {side, number(how_.image_size)});
    if (!how_.crop_rounds_down) {
      const auto half_is_odd = graph_.add("Mod", {graph_.add("Div", {margin, two}), two});
      margin = graph_.add("Add", {margin, half_is_odd});
    }
    const auto begin = graph_.add("Div", {margin, two});
    const auto end = graph_.add("Add", {begin, number(how_.image_size)});
    return graph_.add("Slice", {picture, begin, end, number(axis)});
  }

  Name normalized(const Name& picture) {
    std::vector<float> scale, offset;
    for (std::size_t c = 0; c < 3; ++c) {
      scale.push_back(static_cast<float>(1 / (255 * how_.std[c])));
      offset.push_back(static_cast<float>(-how_.mean[c] / how_.std[c]));
    }
    const auto over_channels = [&](const std::vector<float>& values, const char* name) {
      return graph_.constant(at::tensor(values).view({1, 3, 1, 1}), name);
    };
    const auto scaled = graph_.add("Mul", {picture, over_channels(scale, "scale")});
    return graph_.add("Add", {scaled, over_channels(offset, "offset")});
  }

  const Preprocess& how_;
  GraphBuilder graph_;
};

}  // namespace

Model preprocess_graph(const Preprocess& how) { return PreprocessNodes(how).make(); }

}  // namespace vlalign::onnx
