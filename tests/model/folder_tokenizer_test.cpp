// A tokenizer in a model folder of either layout.
#include "model/peers/folder_tokenizer.hpp"

#include <gtest/gtest.h>

#include "core/check.hpp"
#include "core/io/files.hpp"
#include "support/temp_folder.hpp"
#include "tokenizers/clip_tokenizer.hpp"
#include "vlalign/core/error.hpp"

namespace vlalign::folder_tokenizer_test {
namespace {

namespace fs = std::filesystem;
using test::message_of;
using test::TempFolder;

const fs::path fixtures = fs::path(VLALIGN_FIXTURES);

/// Each cleans its caption in a way of its own.
std::vector<std::shared_ptr<const Tokenizer>> tokenizers() {
  std::vector<std::shared_ptr<const Tokenizer>> all;
  for (const auto* kind : {"gpt2", "bert", "bert_cased", "t5", "siglip2", "gemma"})
    all.push_back(load_tokenizer(fixtures / "tokenizers" / kind));
  const std::vector<ClipTokenizer::Merge> merges;
  for (const auto pad : {0, 7})
    all.push_back(std::make_shared<ClipTokenizer>(merges, ClipTokenizerOptions{.pad_id = pad}));
  const ClipTokenizerOptions hugging_face{.cleaning = ClipCleaning::hugging_face};
  all.push_back(std::make_shared<ClipTokenizer>(merges, hugging_face));
  return all;
}

void write_open_clip_config(const fs::path& folder, const std::string& text_cfg) {
  write_file_atomically(folder / "open_clip_config.json", R"({"model_cfg": {"text_cfg": )" + text_cfg + "}}");
}

/// A folder that names no model: what a tokenizer does is its own affair, and comes back.
TEST(FolderTokenizer, ComesBackFromAFolderOfItsOwn) {
  for (const auto& tokenizer : tokenizers()) {
    const TempFolder folder;
    tokenizer->save(folder.path());
    const auto back = load_tokenizer(folder.path());
    EXPECT_EQ(back->pad_id(), tokenizer->pad_id());
    for (const auto* caption : {"Salt &amp; PEPPER", "\u00e2\u20ac\u0153a\u00e2\u20ac\u009d", "cafe\u0301!"})
      EXPECT_EQ(back->encode(caption, 32), tokenizer->encode(caption, 32)) << caption;
  }
}

/// Beside a peer's config it is the peer's, and then comes back too.
TEST(FolderTokenizer, ComesBackBesideTheConfigOfEitherPeer) {
  const TextConfig text{.context_length = 32, .own_vocabulary = true};
  for (const auto& tokenizer : tokenizers()) {
    for (const auto layout : {Layout::open_clip, Layout::hugging_face}) {
      const TempFolder folder;
      if (layout == Layout::open_clip) write_open_clip_config(folder.path(), R"({"hf_tokenizer_name": "local"})");
      const auto peers = as_peer_uses_it(tokenizer, layout, text, tokenizer->pad_id());
      save_tokenizer(*peers, folder.path(), text, layout);
      EXPECT_EQ(as_peer_uses_it(peers, layout, text), peers);
    }
  }
}

TEST(FolderTokenizer, KeepsOpenClipsCleaningInAFolderOfItsOwn) {
  for (const auto* cleaning : {"whitespace", "lower", "canonicalize"}) {
    const TempFolder from, to;
    for (const auto& entry : fs::directory_iterator(fixtures / "tokenizers" / "t5"))
      fs::copy(entry.path(), from.path() / entry.path().filename());
    write_open_clip_config(from.path(), fmt::format(R"({{"tokenizer_kwargs": {{"clean": "{}"}}}})", cleaning));
    const auto tokenizer = load_tokenizer(from.path());
    tokenizer->save(to.path());
    EXPECT_EQ(load_tokenizer(to.path())->encode("Two, CUPS &amp; a plate", 32),
              tokenizer->encode("Two, CUPS &amp; a plate", 32));
  }
}

/// One that its files don't give back: the ids of another.
class Shifted : public Tokenizer {
 public:
  explicit Shifted(std::shared_ptr<const Tokenizer> of) : of_(std::move(of)) {}
  std::vector<std::int64_t> encode(std::string_view text, std::int64_t length) const override {
    auto ids = of_->encode(text, length);
    for (auto& id : ids) id = (id + 1) % vocab_size();
    return ids;
  }
  std::string decode(std::span<const std::int64_t> ids) const override { return of_->decode(ids); }
  std::int64_t vocab_size() const override { return of_->vocab_size(); }
  std::int64_t pad_id() const override { return of_->pad_id(); }
  std::int64_t end_id() const override { return of_->end_id(); }
  void save(const fs::path& folder) const override { of_->save(folder); }

 private:
  std::shared_ptr<const Tokenizer> of_;
};

TEST(FolderTokenizer, IsRefusedWhereItsFilesGiveAnother) {
  const TempFolder folder;
  const ClipTokenizerOptions hugging_face{.cleaning = ClipCleaning::hugging_face};
  const Shifted shifted(std::make_shared<ClipTokenizer>(std::vector<ClipTokenizer::Merge>{}, hugging_face));
  const auto message = message_of<Error>([&] { save_tokenizer(shifted, folder.path(), {}, Layout::hugging_face); });
  EXPECT_NE(
      message.find("[save] tokenizer: its files don't give it back: the ids [513, 0] would come back as [512, 513]"),
      std::string::npos)
      << message;
}

/// transformers looks for the pad token in a caption, as for any special one, and then takes it for no letter.
TEST(FolderTokenizer, IsRefusedWhereItsPadTokenIsALetterThatTransformersWouldLookFor) {
  for (const auto pad : {0, 7}) {
    const TempFolder folder;
    const ClipTokenizerOptions options{.cleaning = ClipCleaning::hugging_face, .pad_id = pad};
    const ClipTokenizer tokenizer(std::vector<ClipTokenizer::Merge>{}, options);
    EXPECT_NE(message_of<Error>([&] {
                save_tokenizer(tokenizer, folder.path(), {}, Layout::hugging_face);
              }).find("the ids ["),
              std::string::npos);
  }
}

TEST(FolderTokenizer, HasToFitTheTextTower) {
  const ClipTokenizer tokenizer(std::vector<ClipTokenizer::Merge>{}, ClipTokenizerOptions{.pad_id = 7});
  const auto error = [&](const TextConfig& text) {
    return message_of<Error>([&] { check_fits(tokenizer, text, "x"); });
  };
  EXPECT_EQ(error({.vocab_size = 513}), "x: the tokenizer has 514 entries, the text tower 513");
  EXPECT_EQ(error({.pool = TextConfig::Pool::end_token, .end_id = 2}),
            "x: the text tower pools at token 2, the tokenizer ends texts with 513");
  EXPECT_EQ(error({.causal = false}), "x: the text tower fills texts up with token 0, the tokenizer with 7");
}

}  // namespace
}  // namespace vlalign::folder_tokenizer_test
