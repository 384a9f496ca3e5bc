// Prints what becomes of picture files: vlalign_pixel_digests < names. For each name, and each thing done with the
// picture, a line with a fingerprint of the pixels, or of the fault. tests/tools/aarch64.sh compares those of two
// machines.

#include <cstdint>
#include <iostream>
#include <string>
#include <string_view>
#include <utility>

#include "core/fingerprint.hpp"
#include "vlalign/core/error.hpp"
#include "vlalign/image/transform.hpp"

namespace {

using namespace vlalign;

std::string digest(const Image& image) {
  const std::string_view bytes(reinterpret_cast<const char*>(image.rgb.data()), image.rgb.size());
  return Fingerprint().add(image.width).add(image.height).add(bytes).hex();
}

void print(std::string_view name, std::string_view what, const std::string& digest) {
  std::cout << name << '\t' << what << '\t' << digest << '\n';
}

void print_resized(std::string_view name, const Image& image, Interpolation interpolation, std::string_view what) {
  for (const auto& [width, height] : {std::pair{224, 224}, {336, 97}, {31, 64}, {7, 5}}) {
    const auto size = std::to_string(width) + "x" + std::to_string(height);
    print(name, std::string(what) + " " + size, digest(resize(image, width, height, interpolation)));
  }
}

void print_augmented(std::string_view name, const Image& image) {
  const Preprocess how{.image_size = 64};
  print(name, "preprocessed", digest(preprocess(image, how)));
  for (const auto& policy : augmentation_policies()) {
    for (std::uint64_t seed = 1; seed <= 5; ++seed) {
      Rng rng({seed});
      print(name, policy + " " + std::to_string(seed), digest(augment(image, how, augmentation_policy(policy), rng)));
    }
  }
}

void print_digests(const std::string& name) {
  const auto image = read_image(name);
  print(name, "decoded", digest(image));
  print(name, "as the peers", digest(read_image(name, 0, PixelsAs::peer)));
  print(name, "reduced", digest(read_image(name, 8)));
  print_resized(name, image, Interpolation::bicubic, "bicubic");
  print_resized(name, image, Interpolation::bilinear, "bilinear");
  print_augmented(name, image);
}

}  // namespace

int main() {
  for (std::string name; std::getline(std::cin, name);) {
    try {
      print_digests(name);
    } catch (const Error& error) {
      print(name, "fault", Fingerprint().add(error.what()).hex());
    }
  }
}
