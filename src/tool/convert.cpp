#include <fmt/format.h>

#include <filesystem>

#include "model/peers/model_folder.hpp"
#include "tool/commands.hpp"

namespace vlalign::tool {

void add_convert(CLI::App& program) {
  struct Flags {
    std::string folder, to, out;
  };
  auto* command = program.add_subcommand("convert", "Write a model folder in another peer's layout");
  const auto flags = std::make_shared<Flags>();
  command->add_option("--model", flags->folder, "Model folder to read, either layout")->required()->check(not_empty);
  command->add_option("--to", flags->to, "Layout to write: open_clip or hf (transformers)")
      ->required()
      ->check(CLI::IsMember({"open_clip", "hf"}));
  command->add_option("--out", flags->out, "Folder to write")->required()->check(not_empty);
  command->callback([flags] {
    check_folder_place(flags->out, replaceable_model());
    auto model = DualEncoder::load(flags->folder);
    model.set_layout(flags->to == "hf" ? Layout::hugging_face : Layout::open_clip);
    model.save(flags->out);
    fmt::print("{}\n", flags->out);
  });
}

}  // namespace vlalign::tool
