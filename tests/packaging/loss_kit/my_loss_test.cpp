#include <ATen/TensorOperators.h>

#include <vlalign/core/normalize.hpp>
#include <vlalign/testing/loss_properties.hpp>

namespace {

using vlalign::ContrastiveBatch;
using vlalign::l2_normalize;

/// Wang and Isola 2020, alignment: the mean squared distance between the two sides of a pair.
class Alignment : public vlalign::ContrastiveLoss {
 public:
  at::Tensor forward(const ContrastiveBatch& batch) const override {
    return (l2_normalize(batch.image) - l2_normalize(batch.text)).square().sum(1).mean();
  }
  std::string name() const override { return "alignment"; }
};

VLALIGN_TEST_LOSS(AlignmentProperties, Alignment(), {.lower_bound = 0.0});

const auto attraction = [](const ContrastiveBatch& b) {
  const auto image = l2_normalize(b.image), text = l2_normalize(b.text);
  return -(image * text).sum(1).mean();
};

VLALIGN_TEST_LOSS(AttractionProperties, attraction,
                  {.lower_bound = -1.0,
                   .declined = {
                       {vlalign::kit::Property::descent, "shown here as a property that a loss can do without"}}});

}  // namespace
