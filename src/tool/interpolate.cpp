#include "vlalign/model/interpolate.hpp"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "model/peers/model_folder.hpp"
#include "tool/commands.hpp"
#include "tool/output.hpp"

namespace vlalign::tool {

void add_interpolate(CLI::App& program) {
  struct Flags {
    std::string a, b, out;
    double alpha = 0.5;
    bool json = false;
  };
  auto* command = program.add_subcommand("interpolate", "A model between a pretrained and a fine-tuned one (WiSE-FT)");
  const auto flags = std::make_shared<Flags>();
  command->add_option("--model", flags->a, "Model folder, the pretrained one")->required()->check(not_empty);
  command->add_option("--with", flags->b, "Model folder, fine-tuned from it")->required()->check(not_empty);
  command->add_option("--alpha", flags->alpha, "Weight of the second: 0 gives the first, 1 the second")
      ->capture_default_str();
  command->add_option("--out", flags->out, "Model folder to write")->required()->check(not_empty);
  command->add_flag("--json", flags->json, "Print one JSON object on stdout and nothing else there");
  command->callback([flags] {
    check_folder_place(flags->out, replaceable_model());
    interpolate(DualEncoder::load(flags->a), DualEncoder::load(flags->b), flags->alpha).save(flags->out);
    if (flags->json) {
      print_json({{"alpha", flags->alpha}, {"out", flags->out}});
    } else {
      fmt::print("{}\n", flags->out);
    }
  });
}

}  // namespace vlalign::tool
