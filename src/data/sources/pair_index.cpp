#include "data/sources/pair_index.hpp"

#include "core/check.hpp"

namespace vlalign {
namespace {

std::size_t at(std::int64_t i) { return static_cast<std::size_t>(i); }

}  // namespace

void StringList::push_back(std::string_view text) {
  text_.append(text);
  ends_.push_back(text_.size());
}

std::string_view StringList::operator[](std::int64_t i) const {
  const auto begin = i == 0 ? 0 : ends_[at(i - 1)];
  return std::string_view(text_).substr(begin, ends_[at(i)] - begin);
}

void StringList::shrink_to_fit() {
  text_.shrink_to_fit();
  ends_.shrink_to_fit();
}

std::int64_t PairIndex::add_record(std::string_view name) {
  names_.push_back(name);
  return names_.size() - 1;
}

void PairIndex::add_caption(std::int64_t record, std::string_view caption) {
  captions_.push_back(caption);
  record_of_caption_.push_back(record);
}

void PairIndex::finish() {
  first_.assign(at(size()) + 1, 0);
  for (const auto record : record_of_caption_) ++first_[at(record + 1)];
  for (std::size_t r = 1; r < first_.size(); ++r) first_[r] += first_[r - 1];
  auto next = first_;
  order_.resize(record_of_caption_.size());
  for (std::size_t c = 0; c < order_.size(); ++c) {
    order_[at(next[at(record_of_caption_[c])]++)] = static_cast<std::int64_t>(c);
  }
  record_of_caption_ = {};
  names_.shrink_to_fit();
  captions_.shrink_to_fit();
}

std::vector<std::string> PairIndex::captions(std::int64_t record) const {
  check(record >= 0 && record < size(), "[pairs] record {}: expected 0 to {}", record, size() - 1);
  std::vector<std::string> captions;
  for (auto i = first_[at(record)]; i < first_[at(record + 1)]; ++i) captions.emplace_back(captions_[order_[at(i)]]);
  return captions;
}

}  // namespace vlalign
