#include <fmt/format.h>

#include "tool/commands.hpp"
#include "tool/print_scores.hpp"
#include "tool/run_on_ranks.hpp"
#include "vlalign/eval/retrieval.hpp"

namespace vlalign::tool {

void add_eval(CLI::App& program) {
  struct Flags {
    ModelFlags model;
    DataFlags data;
  };
  auto* command = program.add_subcommand("eval", "Retrieval in both directions on held-out pairs, beside chance");
  const auto flags = std::make_shared<Flags>();
  flags->model.add(*command);
  flags->data.add(*command);
  command->callback([flags] {
    run_on_ranks("eval", [&](const Ranks& ranks) {
      const auto pairs = flags->data.open();
      const auto model = flags->model.load();
      auto options = flags->model.embed_options();
      options.ranks = ranks;
      const auto embeddings = embed_pairs(model, pairs, options);
      auto scores = evaluate_retrieval(embeddings, ranks);
      if (ranks.rank() > 0) return;
      warn_of_bad(embeddings.bad, pairs->bad_records().size());
      scores.temperature = 1.0 / model.logit_scale().item<double>();
      if (flags->model.json) {
        fmt::print("{}\n", to_json(scores));
      } else {
        print_scores(flags->data.location, scores);
      }
    });
  });
}

}  // namespace vlalign::tool
