#include "data/sources/joined_pairs.hpp"

#include <algorithm>
#include <iterator>
#include <utility>

#include "core/check.hpp"

namespace vlalign {
namespace {

class JoinedPairs : public PairSource {
 public:
  explicit JoinedPairs(std::vector<std::shared_ptr<const PairSource>> sources) : sources_(std::move(sources)) {
    for (const auto& source : sources_) ends_.push_back(size() + source->size());
  }

  std::int64_t size() const override { return ends_.empty() ? 0 : ends_.back(); }
  std::string name(std::int64_t record) const override {
    const auto [source, within] = place_of(record);
    return source.name(within);
  }
  std::vector<std::string> captions(std::int64_t record) const override {
    const auto [source, within] = place_of(record);
    return source.captions(within);
  }
  Pair read(std::int64_t record) const override {
    const auto [source, within] = place_of(record);
    return source.read(within);
  }
  std::vector<std::string> bad_records() const override {
    std::vector<std::string> all;
    for (const auto& source : sources_) {
      auto bad = source->bad_records();
      std::move(bad.begin(), bad.end(), std::back_inserter(all));
    }
    return all;
  }

 private:
  struct Place {
    const PairSource& source;
    std::int64_t within;
  };

  Place place_of(std::int64_t record) const {
    check(record >= 0 && record < size(), "[pairs] record {}: expected 0 to {}", record, size() - 1);
    const auto end = std::upper_bound(ends_.begin(), ends_.end(), record);
    const auto& source = *sources_[static_cast<std::size_t>(end - ends_.begin())];
    return {source, record - (*end - source.size())};
  }

  std::vector<std::shared_ptr<const PairSource>> sources_;
  std::vector<std::int64_t> ends_;  // of each source's records
};

}  // namespace

std::shared_ptr<const PairSource> joined(std::vector<std::shared_ptr<const PairSource>> sources) {
  if (sources.size() == 1) return sources.front();
  return std::make_shared<JoinedPairs>(std::move(sources));
}

}  // namespace vlalign
