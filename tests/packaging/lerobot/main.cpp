#include <vlalign/data/episodes.hpp>

int main(int, char** arguments) {
  const auto source = vlalign::open_episodes(arguments[1]);
  return source->size() == 3 && source->frame(1, 0).width == 64 ? 0 : 1;
}
