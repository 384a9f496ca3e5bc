// The peer's figures of tests/fixtures/loss.
#pragma once

#include <filesystem>

#include "vlalign/core/io/safetensors.hpp"
#include "vlalign/loss/contrastive_loss.hpp"

namespace vlalign::test {

inline NamedTensors loss_figures() {
  return read_safetensors(std::filesystem::path(VLALIGN_FIXTURES) / "loss" / "figures.safetensors").tensors;
}

/// The batch that the peer's losses were given.
inline ContrastiveBatch batch_of_figures() {
  const auto figures = loss_figures();
  const auto leaf = [&](const char* name) { return figures.at(name).clone().requires_grad_(); };
  return {.image = leaf("image"),
          .text = leaf("text"),
          .logit_scale = leaf("scale"),
          .logit_bias = leaf("bias"),
          .teacher_image = figures.at("teacher_image"),
          .teacher_text = figures.at("teacher_text"),
          .teacher_logit_scale = figures.at("teacher_scale")};
}

}  // namespace vlalign::test
