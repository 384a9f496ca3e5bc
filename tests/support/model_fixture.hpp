// The peers' tiny models of tests/fixtures/model.
#pragma once

#include <ATen/core/Tensor.h>

#include <algorithm>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "model/make_module.hpp"
#include "tokenizers/clip_tokenizer.hpp"
#include "vlalign/core/io/safetensors.hpp"
#include "vlalign/model/dual_encoder.hpp"
#include "vlalign/model/peers/read_config.hpp"

namespace vlalign::test {

/// 514 entries: the bytes, twice, and the special tokens; what the fixtures' vocab_size stands for.
inline std::shared_ptr<const Tokenizer> byte_tokenizer(std::int64_t pad_id = 0) {
  return std::make_shared<ClipTokenizer>(std::vector<ClipTokenizer::Merge>{}, ClipTokenizerOptions{.pad_id = pad_id});
}

inline std::filesystem::path model_fixture(const std::string& name) {
  return std::filesystem::path(VLALIGN_FIXTURES) / "model" / name;
}

inline std::filesystem::path config_of_fixture(const std::string& name) {
  const auto open_clip = model_fixture(name) / "open_clip_config.json";
  return std::filesystem::exists(open_clip) ? open_clip : model_fixture(name) / "config.json";
}

/// The peer's model, evaluating, with a tokenizer beside it that fills texts up as the model expects.
inline DualEncoder peer_model(const std::filesystem::path& folder, const std::filesystem::path& config_file) {
  const auto config = read_model_config(config_file);
  DualEncoder model(make_module(config, 0), config, byte_tokenizer(config.text.pad_id));
  model.load_weights(folder);
  model.train(false);
  return model;
}

inline DualEncoder peer_model(const std::string& name) {
  return peer_model(model_fixture(name), config_of_fixture(name));
}

inline NamedTensors expected_of(const std::string& name) {
  return read_safetensors(model_fixture(name) / "expected.safetensors").tensors;
}

inline double largest_difference(const at::Tensor& a, const at::Tensor& b) {
  return a.sizes() == b.sizes() ? (a - b).abs().max().item<double>() : 1e30;
}

}  // namespace vlalign::test
