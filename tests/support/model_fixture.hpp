// The peers' tiny models of tests/fixtures/model.
#pragma once

#include <ATen/core/Tensor.h>

#include <algorithm>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "vlalign/data/clip_tokenizer.hpp"
#include "vlalign/model/dual_encoder.hpp"
#include "vlalign/model/safetensors.hpp"

namespace vlalign::test {

/// 514 entries: the bytes, twice, and the special tokens; what the fixtures' vocab_size stands for.
inline std::shared_ptr<const Tokenizer> byte_tokenizer() {
  return std::make_shared<ClipTokenizer>(std::vector<ClipTokenizer::Merge>{});
}

inline std::filesystem::path model_fixture(const std::string& name) {
  return std::filesystem::path(VLALIGN_FIXTURES) / "model" / name;
}

inline std::filesystem::path config_of_fixture(const std::string& name) {
  const auto open_clip = model_fixture(name) / "open_clip_config.json";
  return std::filesystem::exists(open_clip) ? open_clip : model_fixture(name) / "config.json";
}

/// The peer's model, evaluating, with a tokenizer beside it.
inline DualEncoder peer_model(const std::string& name) {
  auto model = DualEncoder::create(read_model_config(config_of_fixture(name)), byte_tokenizer());
  model.load_weights(model_fixture(name));
  model.train(false);
  return model;
}

inline NamedTensors expected_of(const std::string& name) {
  return read_safetensors(model_fixture(name) / "expected.safetensors").tensors;
}

inline double largest_difference(const at::Tensor& a, const at::Tensor& b) {
  return a.sizes() == b.sizes() ? (a - b).abs().max().item<double>() : 1e30;
}

}  // namespace vlalign::test
