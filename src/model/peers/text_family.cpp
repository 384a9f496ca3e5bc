#include "model/peers/text_family.hpp"

#include <algorithm>
#include <array>

namespace vlalign {
namespace {

template <typename Test>
const TextFamily* first_that(const Test& test) {
  const auto families = text_families();
  const auto found = std::find_if(families.begin(), families.end(), [&](const auto* family) { return test(*family); });
  return found == families.end() ? nullptr : *found;
}

}  // namespace

std::span<const TextFamily* const> text_families() {
  static constexpr std::array all{&text_bert, &text_gpt2, &text_roberta, &text_xlm_roberta, &text_t5,
                                  &text_mt5,  &text_nllb, &text_clip,    &text_siglip};
  return all;
}

const TextFamily* text_family_of_type(std::string_view model_type) {
  return first_that([&](const auto& family) { return family.model_type == model_type; });
}

const TextFamily* text_family_of(const TextConfig& text) {
  return first_that([&](const auto& family) { return family.holds(text); });
}

}  // namespace vlalign
