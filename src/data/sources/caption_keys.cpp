#include "data/sources/caption_keys.hpp"

#include <charconv>
#include <cmath>
#include <iterator>
#include <nlohmann/json.hpp>
#include <set>
#include <system_error>
#include <utility>

#include "core/ascii.hpp"
#include "core/check.hpp"
#include "data/sources/json_captions.hpp"

namespace vlalign {
namespace {

double weight_in(std::string_view text, std::string_view key) {
  double weight = 0.0;
  const auto* end = text.data() + text.size();
  const auto read = std::from_chars(text.data(), end, weight);
  check(read.ec == std::errc() && read.ptr == end, "caption keys: expected a number behind \"{}=\", got \"{}\"", key,
        text);
  return weight;
}

CaptionKey read_caption_key(std::string_view text) {
  const auto equals = text.rfind('=');
  const auto key = trim(text.substr(0, equals));
  const double weight = equals == text.npos ? 1.0 : weight_in(trim(text.substr(equals + 1)), key);
  return {std::string(key), weight};
}

using CaptionsByKey = std::vector<std::vector<std::string>>;

CaptionsByKey captions_by_key(const nlohmann::json& record, std::span<const CaptionKey> keys) {
  CaptionsByKey captions;
  for (const auto& key : keys) captions.push_back(find_captions(record, key.key));
  return captions;
}

double weight_of(std::size_t count, const CaptionKey& key) { return count == 0 ? 0.0 : key.probability; }

/// One of those that weigh something. Nothing is drawn where it is the only one.
std::size_t choose_key(std::span<const std::size_t> counts, std::span<const CaptionKey> keys, Rng& rng) {
  std::size_t last = keys.size(), candidates = 0;
  double sum = 0.0;
  for (std::size_t i = 0; i < keys.size(); ++i) {
    const double weight = weight_of(counts[i], keys[i]);
    if (weight > 0.0) last = i, ++candidates;
    sum += weight;
  }
  check(candidates > 0, "no caption under any of {} that is drawn with a probability above 0", names_of(keys));
  if (candidates == 1) return last;
  double left = rng.uniform() * sum;
  for (std::size_t i = 0; i < last; ++i) {
    const double weight = weight_of(counts[i], keys[i]);
    if (left < weight) return i;
    left -= weight;
  }
  return last;  // what is left of the sum, and of its rounding
}

}  // namespace

std::vector<CaptionKey> parse_caption_keys(std::string_view text) {
  std::vector<CaptionKey> keys;
  for (std::size_t begin = 0, end = 0; end != text.npos; begin = end + 1) {
    end = text.find(',', begin);
    keys.push_back(read_caption_key(text.substr(begin, end == text.npos ? end : end - begin)));
  }
  check_caption_keys(keys);
  return keys;
}

void check_caption_keys(std::span<const CaptionKey> keys) {
  check(!keys.empty(), "caption keys: expected at least one, such as caption=1,re_caption=2");
  std::set<std::string_view> names;
  double sum = 0.0;
  for (const auto& [key, weight] : keys) {
    check(!trim(key).empty(), "caption keys: expected a key such as caption=1, got an empty one");
    check(names.insert(key).second, "caption keys: expected each once, \"{}\" stands there twice", key);
    check(std::isfinite(weight) && weight >= 0.0, "caption keys: expected 0 or more for \"{}\", got {}", key, weight);
    sum += weight;
  }
  check(sum > 0.0, "caption keys: expected a number above 0 for one of {}", names_of(keys));
  check(std::isfinite(sum), "caption keys: expected a sum that a double can hold for {}", names_of(keys));
}

std::string names_of(std::span<const CaptionKey> keys) {
  std::string names;
  for (const auto& key : keys) names += fmt::format("{}\"{}\"", names.empty() ? "" : ", ", key.key);
  return names;
}

std::vector<std::string> captions_of(const nlohmann::json& record, std::span<const CaptionKey> keys) {
  std::vector<std::string> all;
  for (auto& captions : captions_by_key(record, keys)) {
    std::move(captions.begin(), captions.end(), std::back_inserter(all));
  }
  check(!all.empty(), "no caption under any of {}", names_of(keys));
  return all;
}

CaptionChoice choose_caption(std::span<const std::size_t> counts, std::span<const CaptionKey> keys, Rng& rng) {
  check(counts.size() == keys.size(), "caption keys: expected {} counts of captions, got {}", keys.size(),
        counts.size());
  const auto key = choose_key(counts, keys, rng);
  const auto count = counts[key];
  return {key, count == 1 ? 0 : static_cast<std::size_t>(rng.below(static_cast<std::int64_t>(count)))};
}

std::string pick_caption(const nlohmann::json& record, std::span<const CaptionKey> keys, Rng& rng) {
  auto captions = captions_by_key(record, keys);
  std::vector<std::size_t> counts;
  for (const auto& one : captions) counts.push_back(one.size());
  const auto chosen = choose_caption(counts, keys, rng);
  return std::move(captions[chosen.key][chosen.caption]);
}

}  // namespace vlalign
