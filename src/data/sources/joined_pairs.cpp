#include "data/sources/joined_pairs.hpp"

#include <algorithm>
#include <bit>
#include <iterator>
#include <utility>

#include "core/check.hpp"
#include "core/fingerprint.hpp"
#include "data/sources/pairs_fingerprint.hpp"

namespace vlalign {
namespace {

class JoinedPairs : public PairSource {
 public:
  explicit JoinedPairs(std::vector<WeightedPairs> sources) {
    for (auto& [source, weight] : sources) {
      ends_.push_back(size() + source->size());
      sources_.push_back(std::move(source));
      weights_.push_back(weight);
    }
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
  std::string draw_caption(std::int64_t record, Rng& rng) const override {
    const auto [source, within] = place_of(record);
    return source.draw_caption(within, rng);
  }
  std::vector<RecordRun> runs() const override;
  void expect(std::span<const std::int64_t> records) const override { tell(records, &PairSource::expect); }
  void read_ahead(std::span<const std::int64_t> records) const override { tell(records, &PairSource::read_ahead); }
  std::string fingerprint() const override;
  std::vector<std::string> bad_records() const override {
    std::vector<std::string> all;
    for (const auto& source : sources_) {
      auto bad = source->bad_records();
      std::move(bad.begin(), bad.end(), std::back_inserter(all));
    }
    return all;
  }

 private:
  void tell(std::span<const std::int64_t> records,
            void (PairSource::*function)(std::span<const std::int64_t>) const) const;

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
  std::vector<double> weights_;
  std::vector<std::int64_t> ends_;  // of each source's records
};

/// None where nothing says otherwise: then the sources are one.
std::vector<RecordRun> JoinedPairs::runs() const {
  constexpr std::int64_t usual_run = 4096;  // of a source without
  bool plain = true;
  std::vector<RecordRun> all;
  for (std::size_t i = 0; i < sources_.size(); ++i) {
    auto runs = sources_[i]->runs();
    plain = plain && runs.empty() && weights_[i] == 1.0;
    const auto records = sources_[i]->size();
    for (std::int64_t begin = 0; runs.empty() && begin < records; begin += usual_run)
      all.push_back({std::min(usual_run, records - begin), weights_[i]});
    for (const auto& run : runs) all.push_back({run.records, run.weight * weights_[i]});
  }
  return plain ? std::vector<RecordRun>{} : all;
}

/// Gives each source its own of these records.
void JoinedPairs::tell(std::span<const std::int64_t> records,
                       void (PairSource::*function)(std::span<const std::int64_t>) const) const {
  std::vector<std::vector<std::int64_t>> of_source(sources_.size());
  for (const auto record : records) {
    const auto source = static_cast<std::size_t>(std::upper_bound(ends_.begin(), ends_.end(), record) - ends_.begin());
    if (source < of_source.size()) of_source[source].push_back(record - (ends_[source] - sources_[source]->size()));
  }
  for (std::size_t i = 0; i < sources_.size(); ++i)
    if (!of_source[i].empty()) (*sources_[i].*function)(of_source[i]);
}

/// None where no source has its own: then the sources are one.
std::string JoinedPairs::fingerprint() const {
  const bool plain =
      std::all_of(sources_.begin(), sources_.end(), [](const auto& source) { return source->fingerprint().empty(); });
  if (plain) return {};
  Fingerprint print;
  for (std::size_t i = 0; i < sources_.size(); ++i)
    print.add(fingerprint_of(*sources_[i])).add(std::bit_cast<std::int64_t>(weights_[i]));
  return print.hex();
}

}  // namespace

std::shared_ptr<const PairSource> joined(std::vector<WeightedPairs> sources) {
  if (sources.size() == 1 && sources.front().weight == 1.0) return sources.front().pairs;
  return std::make_shared<JoinedPairs>(std::move(sources));
}

}  // namespace vlalign
