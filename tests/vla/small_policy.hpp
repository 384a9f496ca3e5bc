// Policies small enough to be made in each test.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "tokenizers/clip_tokenizer.hpp"
#include "vlalign/vla/policy.hpp"

namespace vlalign::test {

inline DualEncoder towers(bool resnet = false) {
  ModelConfig config;
  config.name = "small";
  config.embed_dim = 16;
  if (resnet) {
    config.vision = ModifiedResNetConfig{.layers = {1, 1, 1, 1}, .width = 4};
    config.image_projection.bias = true;
  } else {
    config.vision = VitConfig{.patch_size = 16, .width = 32, .layers = 2, .head_width = 16};
  }
  config.text = {.context_length = 16, .vocab_size = 514, .width = 32, .heads = 2, .layers = 1};
  config.preprocess.image_size = 32;
  auto model = DualEncoder::create(config, std::make_shared<ClipTokenizer>(std::vector<ClipTokenizer::Merge>{}), 1);
  model.train(false);
  return model;
}

inline vla::PolicyConfig config_of(const std::string& fusion, const std::string& head) {
  vla::PolicyConfig config{
      .fusion = fusion, .head = head, .actions = {.horizon = 3, .dims = 2}, .state = 4, .width = 32};
  config.phrases = {{"go left", {-1, 0, -1, 0, -1, 0}}, {"go right", {1, 0, 1, 0, 1, 0}}, {"stay", {0, 0, 0, 0, 0, 0}}};
  return config;
}

}  // namespace vlalign::test
