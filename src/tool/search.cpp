#include "vlalign/eval/search.hpp"

#include <fmt/format.h>

#include "tool/commands.hpp"

namespace vlalign::tool {
namespace {

struct SearchFlags {
  ModelFlags model;
  std::string images, index;
  std::vector<std::string> words, pictures, without;
  std::int64_t k = 5;
};

void add_query_flags(CLI::App& command, SearchFlags& flags) {
  const auto several = [](CLI::Option* option) {
    return option->expected(1)->multi_option_policy(CLI::MultiOptionPolicy::TakeAll)->check(not_empty);
  };
  command.add_option("words", flags.words, "What to look for; several texts in quotes are looked for together")
      ->check(not_empty);
  several(command.add_option("--image", flags.pictures, "A picture to look for the like of; may stand several times"));
  several(command.add_option("--without", flags.without, "Words for what shall not be seen; may stand several times"));
}

void run_search(const SearchFlags& flags) {
  if (flags.words.empty() && flags.pictures.empty()) throw CLI::RequiredError("words or --image");
  const auto model = flags.model.load();
  const auto options = flags.model.embed_options();
  // The query comes first: pictures of a large folder are not embedded for one that can't be.
  const SearchQuery query{
      .texts = flags.words, .images = {flags.pictures.begin(), flags.pictures.end()}, .without = flags.without};
  const auto wanted = embed_query(model, query, options);
  const auto index = flags.index.empty() ? index_images(model, flags.images, options)
                                         : index_images(model, flags.images, flags.index, options);
  warn_of_bad(index.bad);
  const auto hits = best_matches(index, wanted, flags.k);
  if (flags.model.json) {
    fmt::print("{}\n", to_json(hits));
    return;
  }
  for (const auto& hit : hits) fmt::print("{:6.3f}  {}\n", hit.score, hit.path.string());
}

}  // namespace

void add_search(CLI::App& program) {
  auto* command = program.add_subcommand("search", "The pictures of a folder that fit words or other pictures best");
  const auto flags = std::make_shared<SearchFlags>();
  flags->model.add(*command);
  command->add_option("--images", flags->images, "Folder of pictures, searched with its subfolders")
      ->required()
      ->check(not_empty);
  command
      ->add_option("--index", flags->index,
                   "Folder in which embeddings are kept, made where it isn't there: the next search embeds new and "
                   "changed pictures alone")
      ->check(not_empty);
  command->add_option("--k", flags->k, "How many to show")->check(above_zero)->capture_default_str();
  add_query_flags(*command, *flags);
  command->callback([flags] { run_search(*flags); });
}

}  // namespace vlalign::tool
