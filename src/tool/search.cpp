#include "vlalign/eval/search.hpp"

#include <fmt/format.h>

#include "tool/commands.hpp"

namespace vlalign::tool {

void add_search(CLI::App& program) {
  struct Flags {
    ModelFlags model;
    std::string images, words;
    std::int64_t k = 5;
  };
  auto* command = program.add_subcommand("search", "The pictures of a folder that fit some words best");
  const auto flags = std::make_shared<Flags>();
  flags->model.add(*command);
  command->add_option("--images", flags->images, "Folder of pictures, searched with its subfolders")
      ->required()
      ->check(not_empty);
  command->add_option("--k", flags->k, "How many to show")->check(above_zero)->capture_default_str();
  command->add_option("words", flags->words, "What to look for")->required()->check(not_empty);
  command->callback([flags] {
    const auto model = flags->model.load();
    const auto options = flags->model.embed_options();
    const auto index = index_images(model, flags->images, options);
    warn_of_bad(index.bad);
    const auto hits = search(model, index, flags->words, flags->k, options);
    if (flags->model.json) {
      fmt::print("{}\n", to_json(hits));
      return;
    }
    for (const auto& hit : hits) fmt::print("{:6.3f}  {}\n", hit.score, hit.path.string());
  });
}

}  // namespace vlalign::tool
