// Pairs as batches are made of them. Internal.
#pragma once

#include <memory>

#include "core/check.hpp"
#include "data/loading/batch_maker.hpp"

namespace vlalign {

class PairTexts : public PictureTexts {
 public:
  PairTexts(std::shared_ptr<const PairSource> pairs, const Preprocess& how, const Augmentation& augmentation)
      : pairs_(std::move(pairs)), how_(how), augmentation_(augmentation) {
    check(pairs_ != nullptr, "[Loader] source: expected one, got a null pointer");
  }

  std::int64_t size() const override { return pairs_->size(); }
  std::string name(std::int64_t record) const override { return pairs_->name(record); }
  std::vector<RecordRun> runs() const override { return pairs_->runs(); }
  void expect(std::span<const std::int64_t> records) const override { pairs_->expect(records); }
  void read_ahead(std::span<const std::int64_t> records) const override { pairs_->read_ahead(records); }
  std::string text(std::int64_t record, Rng& rng) const override { return pairs_->draw_caption(record, rng); }
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

}  // namespace vlalign
