// Scores captions against pictures with an installed vlalign:
//
//   downstream MODELDIR PICTURES_DIR "a caption" "another caption"
//
// Without arguments it runs on an untrained model and two pictures it makes, which only shows that everything links.
#include <cstdio>
#include <exception>
#include <string>
#include <vector>
#include <vlalign/vlalign.hpp>

namespace {

vlalign::Image plain_picture(std::uint8_t grey) { return {64, 64, std::vector<std::uint8_t>(3 * 64 * 64, grey)}; }

void untrained() {
  const std::vector<std::string> captions{"a white square", "a black square"};
  const auto model = vlalign::DualEncoder::create("tiny", vlalign::train_tokenizer(captions, 520));
  const auto pictures = vlalign::embed_images(model, 2, [](auto i) { return plain_picture(i == 0 ? 255 : 0); });
  const auto cosines = pictures.image.matmul(vlalign::embed_texts(model, captions).t());
  for (int i = 0; i < 2; ++i) {
    std::printf("%+.4f %+.4f\n", cosines[i][0].item<double>(), cosines[i][1].item<double>());
  }
}

}  // namespace

int main(int argc, char** argv) {
  try {
    if (argc < 4) return untrained(), 0;
    const auto model = vlalign::DualEncoder::load(argv[1]);
    const auto index = vlalign::index_images(model, argv[2]);
    for (int i = 3; i < argc; ++i) {
      std::printf("%s\n", argv[i]);
      for (const auto& hit : vlalign::search(model, index, argv[i]))
        std::printf("  %.3f %s\n", hit.score, hit.path.c_str());
    }
  } catch (const std::exception& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 1;
  }
}
