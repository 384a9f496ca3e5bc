// Prints the pixels of picture files: vlalign_picture_pixels vlalign|peer < names > pixels. For each name a line with
// width and height and then the RGB bytes, or a line with 0 0 and the fault. tests/tools/picture_torture.py compares
// them with Pillow's.

#include <iostream>
#include <string>
#include <string_view>

#include "vlalign/core/error.hpp"
#include "vlalign/image/image.hpp"

int main(int argc, char** argv) {
  const std::string_view who = argc == 2 ? argv[1] : "";
  if (who != "vlalign" && who != "peer") {
    std::cerr << "usage: vlalign_picture_pixels vlalign|peer < names > pixels\n";
    return 2;
  }
  const auto as = who == "peer" ? vlalign::PixelsAs::peer : vlalign::PixelsAs::vlalign;
  for (std::string name; std::getline(std::cin, name);) {
    try {
      const auto image = vlalign::read_image(name, 0, as);
      std::cout << image.width << ' ' << image.height << '\n';
      std::cout.write(reinterpret_cast<const char*>(image.rgb.data()), static_cast<std::streamsize>(image.rgb.size()));
    } catch (const vlalign::Error& error) {
      std::cout << "0 0 " << error.what() << '\n';
    }
  }
}
