#include <fmt/format.h>
#include <torch/torch.h>

#include <string_view>
#include <vlalign/vlalign.hpp>

int main() {
  const auto included = fmt::format("{}.{}.{}", FMT_VERSION / 10000, FMT_VERSION / 100 % 100, FMT_VERSION % 100);
  const auto unit = vlalign::l2_normalize(torch::tensor({3.0F, 4.0F}));
  return included == FOUND_FMT && std::abs(unit[1].item<float>() - 0.8F) < 1e-6F ? 0 : 1;
}
