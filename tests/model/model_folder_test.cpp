#include "model/peers/model_folder.hpp"

#include <ATen/core/grad_mode.h>
#include <gtest/gtest.h>

#include <atomic>
#include <fstream>
#include <thread>

#include "core/io/files.hpp"
#include "support/file_size_limit.hpp"
#include "support/model_fixture.hpp"
#include "support/temp_folder.hpp"
#include "vlalign/core/error.hpp"
#include "vlalign/nn/dual_encoder.hpp"

namespace vlalign::model_folder_test {
namespace {

namespace fs = std::filesystem;
using test::FileSizeLimit;
using test::message_of;
using test::peer_model;
using test::TempFolder;

std::vector<std::string> names_in(const fs::path& folder) {
  std::vector<std::string> names;
  for (const auto& path : entries_of(folder)) names.push_back(path.filename().string());
  return names;
}

TEST(SavingAModel, ReplacesAFolderOfAnyFilesThatThePeersWrite) {
  // open_clip's push_to_hf_hub, transformers' save_pretrained of models, processors and tokenizers.
  const TempFolder folder;
  const auto target = folder.path() / "model";
  for (const auto* name :
       {"config.json", "preprocessor_config.json", "processor_config.json", "model.safetensors.index.json",
        "model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors", "open_clip_model.safetensors",
        "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json", "vocab.json",
        "merges.txt", "vocab.txt", "spiece.model", "tokenizer.model", "chat_template.jinja", "adapter.safetensors"}) {
    fs::create_directory(target);
    std::ofstream(target / name) << "{}";
    for (const auto* needed : {"open_clip_config.json", "model.safetensors"}) std::ofstream(target / needed) << "{}";
    peer_model("vit").save(target);
    EXPECT_NO_THROW(DualEncoder::load(target)) << name;
    EXPECT_FALSE(fs::exists(target / "model.safetensors")) << name;
    fs::remove_all(target);
  }
}

TEST(SavingAModel, LeavesEverythingElseAlone) {
  const TempFolder folder;
  const auto model = peer_model("vit");
  const auto complaint = [&](const std::vector<std::string>& files) {
    const auto target = folder.path() / "taken";
    fs::create_directory(target);
    for (const auto& file : files) std::ofstream(target / file) << "mine";
    const auto message = message_of<Error>([&] { model.save(target); });
    EXPECT_EQ(names_in(target), files);
    EXPECT_EQ(names_in(folder.path()), std::vector<std::string>{"taken"});
    fs::remove_all(target);
    return message.substr(message.find("not a model folder"));
  };
  EXPECT_EQ(complaint({"config.json", "model.safetensors", "notes.txt"}),
            "not a model folder: notes.txt is in it; choose another name");
  EXPECT_EQ(complaint({"config.json", "model-00001-of-2.safetensors"}),
            "not a model folder: model-00001-of-2.safetensors is in it; choose another name");
  EXPECT_EQ(complaint({"config.json", "model.safetensors", "trainer.json"}),
            "not a model folder: trainer.json is in it; choose another name");
  EXPECT_EQ(complaint({"config.json"}), "not a model folder: no weights are in it; choose another name");
  EXPECT_EQ(complaint({"model.safetensors", "vocab.json"}),
            "not a model folder: no config is in it; choose another name");
}

TEST(SavingAModel, LeavesTheOldOneWhenTheDiskIsFull) {
  const TempFolder folder;
  const auto target = folder.path() / "model";
  peer_model("vit").save(target);
  const auto before = read_file(target / "open_clip_model.safetensors");
  const auto other = peer_model("resnet");
  for (const rlim_t bytes : {100, 2000, 20000}) {
    const FileSizeLimit limit(bytes);
    EXPECT_THROW(other.save(target), Error) << bytes;
  }
  EXPECT_EQ(read_file(target / "open_clip_model.safetensors"), before);
  EXPECT_EQ(names_in(folder.path()), std::vector<std::string>{"model"});
}

TEST(SavingAModel, NeverShowsAReaderAMixture) {
  const TempFolder folder;
  const auto target = folder.path() / "model";
  const auto vit = peer_model("vit"), resnet = peer_model("resnet");  // of other configs and weights
  vit.save(target);
  std::atomic<bool> over = false;
  std::jthread writer([&] {
    for (int i = 0; i < 40; ++i) (i % 2 == 0 ? resnet : vit).save(target);
    over = true;
  });
  while (!over) {
    const auto loaded = DualEncoder::load(target);
    const bool is_vit = std::holds_alternative<VitConfig>(loaded.config().vision);
    EXPECT_EQ(loaded.parameter_count(), (is_vit ? vit : resnet).parameter_count());
  }
  writer.join();
}

TEST(LoadingAModel, SaysWhatIsWrongWithAPath) {
  const TempFolder folder;
  fs::create_symlink("loop", folder.path() / "loop");
  const auto loop = folder.path() / "loop", name = folder.path() / std::string(300, 'n');
  EXPECT_EQ(message_of<Error>([&] { DualEncoder::load(loop); }),
            loop.string() + ": cannot look there: Too many levels of symbolic links");
  EXPECT_EQ(message_of<Error>([&] { DualEncoder::load(name); }),
            name.string() + ": cannot look there: File name too long");
  EXPECT_EQ(message_of<Error>([&] { DualEncoder::load(folder.path() / "nothing"); }),
            (folder.path() / "nothing").string() + ": no such model folder");

  peer_model("vit").save(folder.path() / "model");
  const auto config = folder.path() / "model" / "open_clip_config.json";
  fs::remove(config);
  fs::create_symlink("open_clip_config.json", config);
  EXPECT_EQ(message_of<Error>([&] { DualEncoder::load(folder.path() / "model"); }),
            config.string() + ": cannot look there: Too many levels of symbolic links");
}

}  // namespace
}  // namespace vlalign::model_folder_test
