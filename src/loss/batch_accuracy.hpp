// Internal.
#pragma once

#include <optional>

#include "vlalign/loss/contrastive_loss.hpp"

namespace vlalign {

/// Whether the text nearest to each of some images is its own, of texts that come in parts.
class NearestTexts {
 public:
  /// image: [n, D]
  explicit NearestTexts(const at::Tensor& image);

  /// Those of the images themselves among others, [m, D].
  ///   begin: which of them belongs to the first image; the others follow
  void own(const at::Tensor& text, std::int64_t begin);
  /// Those of other images.
  void others(const at::Tensor& text);

  /// How many images have no text as near as their own: int64 [], on the device.
  at::Tensor right() const;

 private:
  template <typename See>
  void compare(const at::Tensor& text, const See& see);

  at::Tensor image_, own_, nearest_other_;
};

/// batch_accuracy() as a float64 scalar [] that is still on the device.
///   own: the rows it is that of, all of them without it; 0 of no rows
at::Tensor accuracy_on_device(const at::Tensor& image, const at::Tensor& text, std::optional<tiles::RowRange> own = {});

}  // namespace vlalign
