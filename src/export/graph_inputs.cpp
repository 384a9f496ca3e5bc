#include "export/graph_inputs.hpp"

#include <ATen/CPUGeneratorImpl.h>
#include <ATen/ops/addcmul.h>
#include <ATen/ops/randint.h>
#include <ATen/ops/randn.h>
#include <ATen/ops/tensor.h>

namespace vlalign::onnx {
namespace {

/// Other numbers for each extent, the same in each export; the caller's generators stay as they are.
at::Generator generator_of(const Extent& extent) {
  constexpr std::int64_t most_tokens = 1 << 20;
  return at::make_generator<at::CPUGeneratorImpl>(
      static_cast<std::uint64_t>(extent.rows * most_tokens + extent.tokens));
}

}  // namespace

NamedInput random_pixels(const DualEncoder& model, const OnnxOptions& options, const Extent& extent) {
  const std::int64_t side = model.config().preprocess.image_size;
  const std::vector<std::int64_t> shape{extent.rows, 3, side, side};
  if (!options.normalize) return random_numbers("pixels", shape, extent, model.device());
  return {"pixels", at::randint(256, shape, generator_of(extent), at::kByte).to(model.device())};
}

NamedInput random_tokens(const DualEncoder& model, const Extent& extent) {
  const auto& tokenizer = *model.tokenizer();
  auto tokens = at::randint(std::min(tokenizer.vocab_size(), model.config().text.vocab_size),
                            {extent.rows, extent.tokens}, generator_of(extent), at::kLong);
  for (std::int64_t row = 0; row < extent.rows; ++row) {
    const auto end = extent.tokens - 1 - row % extent.tokens;
    tokens.select(0, row).narrow(0, end, 1).fill_(tokenizer.end_id());
    tokens.select(0, row).narrow(0, end + 1, extent.tokens - 1 - end).fill_(tokenizer.pad_id());
  }
  return {"tokens", tokens.to(model.device())};
}

NamedInput random_numbers(std::string name, at::IntArrayRef shape, const Extent& extent, c10::Device device) {
  return {std::move(name), at::randn(shape, generator_of(extent)).to(device)};
}

std::function<at::Tensor(const at::Tensor&)> normalizer(const DualEncoder& model) {
  const auto& how = model.config().preprocess;
  std::vector<float> scale, offset;
  for (std::size_t c = 0; c < 3; ++c) {
    scale.push_back(static_cast<float>(1 / (255 * how.std[c])));
    offset.push_back(static_cast<float>(-how.mean[c] / how.std[c]));
  }
  const auto over_channels = [&](const std::vector<float>& values) {
    return at::tensor(values).view({1, 3, 1, 1}).to(model.device());
  };
  return [scales = over_channels(scale), offsets = over_channels(offset)](const at::Tensor& pixels) {
    return pixels.is_floating_point() ? pixels : at::addcmul(offsets, pixels.to(at::kFloat), scales);
  };
}

}  // namespace vlalign::onnx
