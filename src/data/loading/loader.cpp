#include "vlalign/data/loading/loader.hpp"

#include <utility>

#include "data/loading/pair_texts.hpp"

namespace vlalign {

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
