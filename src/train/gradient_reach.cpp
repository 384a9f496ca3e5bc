#include "train/gradient_reach.hpp"

#include "core/check.hpp"
#include "core/log.hpp"

namespace vlalign {
namespace {

struct Reach {
  bool trains = false, reached = false;

  void add(const at::Tensor& parameter) {
    trains = true;
    reached = reached || parameter.grad().defined();
  }
};

}  // namespace

void check_reach(const torch::nn::Module& module, const Towers& towers) {
  Reach all, image, text;
  for (const auto& item : module.named_parameters()) {
    if (!item.value().requires_grad()) continue;
    all.add(item.value());
    const auto place = towers.place_of(item.key());
    if (place) (place->side == nn::DualEncoderImpl::Place::Side::image ? image : text).add(item.value());
  }
  check(all.reached, "[Trainer] the loss gives no gradient to anything that trains");
  const auto warn = [](const Reach& tower, const char* name) {
    if (tower.trains && !tower.reached) log_warning("the loss gives the {} tower no gradient: it stays as it is", name);
  };
  warn(image, "image");
  warn(text, "text");
}

}  // namespace vlalign
