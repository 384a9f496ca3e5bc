#include "train/run_identity.hpp"

#include <algorithm>
#include <array>

#include "core/fingerprint.hpp"

namespace vlalign {
namespace {

constexpr std::int64_t most_identified = 10'000;  // records

void add_texts(Fingerprint& print, const std::vector<std::string>& texts) {
  print.add(std::ssize(texts));
  for (const auto& text : texts) print.add(text);
}

void add_tensor(Fingerprint& print, const at::Tensor& tensor) {
  print.add(tensor.defined() ? 1 : 0);
  if (!tensor.defined()) return;
  const auto bytes = tensor.detach().cpu().contiguous();
  add_texts(print, {c10::toString(bytes.scalar_type())});
  for (const auto size : bytes.sizes()) print.add(size);
  print.add({static_cast<const char*>(bytes.const_data_ptr()), bytes.nbytes()});
}

}  // namespace

std::string fingerprint_of(const EpisodeSource& episodes) {
  Fingerprint print;
  print.add(episodes.size());
  for (std::int64_t i = 0; i < episodes.size(); ++i) {
    const auto& episode = episodes.episode(i);
    print.add(episode.name);
    add_texts(print, episode.instructions);
    add_tensor(print, episode.states);
    add_tensor(print, episode.actions);
  }
  return print.hex();
}

std::vector<RecordRange> identified_records(std::int64_t count) {
  std::vector<RecordRange> records;
  const auto stride = std::max<std::int64_t>(1, count / most_identified);
  for (std::int64_t i = 0; i < count; i += stride) records.push_back({i, i + 1});
  return records;
}

std::vector<RecordRange> identified_records(const PairSource& pairs) {
  constexpr std::int64_t first = 256;  // so that one shard is opened
  return pairs.runs().empty() ? identified_records(pairs.size())
                              : std::vector<RecordRange>{{0, std::min(first, pairs.size())}};
}

std::string fingerprint_of(const Tokenizer& tokenizer, const std::vector<RecordRange>& records,
                           const std::function<std::vector<std::string>(std::int64_t)>& texts) {
  constexpr std::int64_t longest = 64;
  Fingerprint print;
  print.add(tokenizer.vocab_size()).add(tokenizer.pad_id()).add(tokenizer.end_id());
  for (std::int64_t id = 0; id < tokenizer.vocab_size(); ++id) print.add(tokenizer.decode(std::array{id}));
  for (const auto& [begin, end] : records) {
    for (auto i = begin; i < end; ++i) {
      for (const auto& text : texts(i)) {
        const auto ids = tokenizer.encode(text, longest);
        print.add(std::ssize(ids));
        for (const auto id : ids) print.add(id);
      }
    }
  }
  return print.hex();
}

std::string fingerprint_of(const torch::nn::Module& module) {
  Fingerprint print;
  const auto add = [&](const auto& items) {
    for (const auto& item : items) {
      print.add(item.key());
      add_tensor(print, item.value());
    }
  };
  add(module.named_parameters());
  add(module.named_buffers());
  return print.hex();
}

}  // namespace vlalign
