#include "vlalign/eval/embed.hpp"

#include <ATen/ops/cat.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/zeros.h>

#include <algorithm>
#include <future>
#include <string_view>
#include <unordered_map>

#include "core/check.hpp"
#include "data/loading/pixel_batch.hpp"
#include "data/sources/checked_source.hpp"
#include "data/sources/sampled_ranges.hpp"
#include "eval/readable_images.hpp"
#include "eval/rows.hpp"
#include "kernels/thread_count.hpp"
#include "model/int8_mode.hpp"
#include "nn/evaluation_mode.hpp"
#include "ranks/gather_texts.hpp"
#include "vlalign/data/loading/loader.hpp"
#include "vlalign/data/sources/pairs.hpp"
#include "vlalign/image/transform.hpp"
#include "vlalign/model/dual_encoder.hpp"
#include "vlalign/nn/dual_encoder.hpp"
#include "vlalign/tokenizers/tokenizer.hpp"

namespace vlalign {
namespace {

/// No gradients, and every module in evaluation mode; each module's own mode comes back at the end.
struct Evaluating {
  explicit Evaluating(const DualEncoder& model) : mode(*model.module()) {}

  nn::EvaluationMode mode;
  at::NoGradGuard no_grad;
};

void check_options(const EmbedOptions& options) {
  check(options.batch_size > 0, "[embed] batch_size: expected at least 1, got {}", options.batch_size);
  check(options.threads > 0, "[embed] threads: expected at least 1, got {}", options.threads);
  check(options.threads <= largest_thread_count, "[embed] threads: expected at most {}, got {}", largest_thread_count,
        options.threads);
}

BatchShare share_of(const Ranks& ranks) { return {.index = ranks.rank(), .count = ranks.size()}; }

/// Rows that each rank has some of, in the order of the ranks; undefined where nobody has one.
at::Tensor rows_of_all(const Ranks& ranks, const std::vector<at::Tensor>& parts) {
  const auto own = parts.empty() ? at::Tensor() : at::cat(parts);
  if (ranks.alone()) return own;
  const auto width = ranks.gather(at::tensor({own.defined() ? own.size(1) : 0})).max().item<std::int64_t>();
  if (width == 0) return {};
  return ranks.gather(own.defined() ? own : at::zeros({0, width}));
}

/// The same of what else is known of the pictures.
void gather(const Ranks& ranks, ImageEmbeddings& images) {
  if (ranks.alone()) return;
  const auto records = ranks.gather(at::tensor(images.records, at::kLong));
  images.records.assign(records.const_data_ptr<std::int64_t>(),
                        records.const_data_ptr<std::int64_t>() + records.numel());
  images.bad = gather_texts(ranks, images.bad);
}

}  // namespace

ImageEmbeddings embed_readable_images(const DualEncoder& model, std::int64_t count,
                                      const std::function<Image(std::int64_t)>& read, const EmbedOptions& options) {
  check_options(options);
  check(count > 0, "[embed_images] there is no picture");
  check(read != nullptr, "[embed_images] read: expected a function, got an empty one");
  const auto& how = model.config().preprocess;
  const auto& ranks = options.ranks;
  const auto share = share_of(ranks);
  const auto first = share.begin(count), last = first + share.rows(count);
  const auto load = [&](std::int64_t start) {
    const auto end = std::min(last, start + options.batch_size);
    return load_pixels(start, end, options.threads, how.image_size,
                       [&](std::int64_t record) { return preprocess(read(record), how); });
  };

  const auto encode = [&](const at::Tensor& pixels) {
    if (options.projected) return model.encode_image(pixels, options.precision);
    const auto mode = checked_mode(model, options.precision);
    return model.module()
        ->visual->forward(normalize_pixels(pixels.to(model.device()), how), nn::compute_dtype(options.precision))
        .to(at::kFloat);
  };
  const Evaluating evaluating(model);
  ImageEmbeddings out;
  std::vector<at::Tensor> rows;
  constexpr auto beside = std::launch::async | std::launch::deferred;  // the second where there is no thread to be had
  std::future<PixelBatch> coming;
  if (first < last) coming = std::async(beside, load, first);
  for (auto start = first; start < last; start += options.batch_size) {
    const auto batch = coming.get();
    if (start + options.batch_size < last) coming = std::async(beside, load, start + options.batch_size);
    if (!batch.records.empty()) rows.push_back(encode(batch.pixels));
    out.records.insert(out.records.end(), batch.records.begin(), batch.records.end());
    out.bad.insert(out.bad.end(), batch.bad.begin(), batch.bad.end());
    if (options.progress) options.progress(std::min(last, start + options.batch_size) - first, last - first);
  }
  out.image = rows_of_all(ranks, rows);
  gather(ranks, out);
  if (out.image.defined()) checked_rows(out.image, "embed_images", "the model's embeddings");
  return out;
}

ImageEmbeddings embed_images(const DualEncoder& model, std::int64_t count,
                             const std::function<Image(std::int64_t)>& read, const EmbedOptions& options) {
  auto out = embed_readable_images(model, count, read, options);
  if (!out.image.defined())
    fail("[embed_images] none of the {} pictures could be read; the first: {}", count, out.bad.front());
  return out;
}

ImageEmbeddings embed_images(const DualEncoder& model, const std::shared_ptr<const PairSource>& pairs,
                             const EmbedOptions& options) {
  const auto& source = checked_source(pairs, "[embed_images] source");
  const auto share = share_of(options.ranks);
  const auto first = share.begin(source.size());
  expect_runs(source, {{first, first + share.rows(source.size())}});
  const auto read = [&](std::int64_t record) {
    if (record % options.batch_size == 0) read_ahead(source, {record, record + 2 * options.batch_size});
    const auto pair = source.read(record);
    // Whole: a reduced scale differs from the peers' pixels.
    return decode_image(pair.image, pair.name, 0, model.config().preprocess.pixels_as);
  };
  auto images = embed_images(model, source.size(), read, options);
  const auto bad = source.bad_records();
  images.bad.insert(images.bad.begin(), bad.begin(), bad.end());
  return images;
}

at::Tensor embed_texts(const DualEncoder& model, std::span<const std::string> texts, const EmbedOptions& options) {
  check_options(options);
  check(!texts.empty(), "[embed_texts] there is no text");
  std::vector<std::string> distinct;
  std::vector<std::int64_t> row_of_text;
  std::unordered_map<std::string_view, std::int64_t> row_of;
  for (const auto& text : texts) {
    const auto [place, is_new] = row_of.try_emplace(text, std::ssize(distinct));
    if (is_new) distinct.push_back(text);
    row_of_text.push_back(place->second);
  }

  const Evaluating evaluating(model);
  std::vector<at::Tensor> rows;
  const auto& ranks = options.ranks;
  const auto share = share_of(ranks);
  const auto first = share.begin(std::ssize(distinct)), last = first + share.rows(std::ssize(distinct));
  for (auto start = first; start < last; start += options.batch_size) {
    const auto length = std::min(options.batch_size, last - start);
    const auto batch = std::span<const std::string>(distinct).subspan(static_cast<std::size_t>(start),
                                                                      static_cast<std::size_t>(length));
    const auto tokens = tokenize(*model.tokenizer(), batch, model.config().text.context_length);
    rows.push_back(model.encode_text(tokens, options.precision));
  }
  const auto all = rows_of_all(ranks, rows);
  checked_rows(all, "embed_texts", "the model's embeddings");
  return all.index_select(0, at::tensor(row_of_text, at::kLong).to(all.device()));
}

Embeddings embed_pairs(const DualEncoder& model, const std::shared_ptr<const PairSource>& pairs,
                       const EmbedOptions& options) {
  const auto& source = checked_source(pairs, "[embed_pairs] source");
  auto images = embed_images(model, pairs, options);
  Embeddings out;
  for (const auto record : images.records) {
    const auto row = std::ssize(out.names);
    out.names.push_back(source.name(record));
    for (auto& caption : source.captions(record)) {
      out.captions.push_back(std::move(caption));
      out.image_of_text.push_back(row);
    }
  }
  out.text = embed_texts(model, out.captions, options);
  out.image = std::move(images.image);
  out.records = std::move(images.records);
  out.bad = std::move(images.bad);
  if (options.embedded) options.embedded(out, source);
  return out;
}

}  // namespace vlalign
