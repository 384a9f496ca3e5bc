#include "vlalign/data/loading/loader.hpp"

#include <utility>

#include "core/check.hpp"
#include "data/loading/batch_maker.hpp"

namespace vlalign {
namespace {

class PairTexts : public PictureTexts {
 public:
  PairTexts(std::shared_ptr<const PairSource> pairs, const Preprocess& how, const Augmentation& augmentation)
      : pairs_(std::move(pairs)), how_(how), augmentation_(augmentation) {
    check(pairs_ != nullptr, "[Loader] source: expected one, got a null pointer");
  }

  std::int64_t size() const override { return pairs_->size(); }
  std::string name(std::int64_t record) const override { return pairs_->name(record); }
  std::vector<std::string> texts(std::int64_t record) const override { return pairs_->captions(record); }
  Image picture(std::int64_t record) const override {
    const auto pair = pairs_->read(record);
    return decode_for_augment(pair.image, pair.name, how_, augmentation_);
  }
  std::vector<std::string> bad_records() const override { return pairs_->bad_records(); }

 private:
  std::shared_ptr<const PairSource> pairs_;
  Preprocess how_;
  Augmentation augmentation_;
};

}  // namespace

Loader::Loader(std::shared_ptr<const PairSource> source, std::shared_ptr<const Tokenizer> tokenizer,
               std::int64_t context_length, const Preprocess& preprocess, const LoaderOptions& options)
    : batches_(std::make_unique<BatchMaker>(
          "Loader", "pairs", std::make_unique<PairTexts>(std::move(source), preprocess, options.augmentation),
          std::move(tokenizer), context_length, preprocess, options)) {}

Loader::~Loader() = default;

std::int64_t Loader::batches_per_epoch() const { return batches_->batches_per_epoch(); }

void Loader::seek(std::int64_t number) { batches_->seek(number); }

PairBatch Loader::next() { return batches_->next(); }

std::vector<std::string> Loader::bad_records() const { return batches_->bad_records(); }

}  // namespace vlalign
