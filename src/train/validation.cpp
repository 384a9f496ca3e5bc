#include "vlalign/train/validation.hpp"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/tensor.h>

#include <nlohmann/json.hpp>

#include "core/check.hpp"
#include "eval/figures_json.hpp"
#include "eval/first_captions.hpp"
#include "vlalign/data/sources/pairs.hpp"
#include "vlalign/eval/retrieval.hpp"
#include "vlalign/eval/zero_shot.hpp"
#include "vlalign/loss/info_nce.hpp"
#include "vlalign/model/dual_encoder.hpp"
#include "vlalign/nn/dual_encoder.hpp"

namespace vlalign {
namespace {

using nlohmann::json;

std::vector<std::string> keys_of(const Figures& figures) {
  std::vector<std::string> keys;
  for (const auto& [key, value] : figures) keys.push_back(key);
  return keys;
}

bool needs_embeddings_only(const BatchParts& uses) {
  return !uses.tokens && !uses.second_image && !uses.teacher && uses.frames == 0;
}

double loss_of_all(const DualEncoder& model, const Embeddings& embeddings, const ContrastiveLoss& loss) {
  const at::NoGradGuard no_graph;
  const auto rows = at::tensor(first_captions(embeddings), at::kLong).to(embeddings.text.device());
  ContrastiveBatch batch{
      .image = embeddings.image, .text = embeddings.text.index_select(0, rows), .logit_scale = model.logit_scale()};
  if (loss.uses().logit_bias) batch.logit_bias = model.module()->logit_bias;
  batch.progress = 1;
  return loss.forward(batch).item<double>();
}

}  // namespace

Validation validate_retrieval(std::string name, std::shared_ptr<const PairSource> pairs, AnyLoss loss) {
  check(pairs != nullptr, "[validate_retrieval] pairs: expected a data set, got a null pointer");
  if (!needs_embeddings_only(loss->uses())) loss = InfoNCE();
  RetrievalScores empty;
  empty.temperature = 1;
  auto with = figures_of(json::parse(to_json(empty)));
  with["loss"] = 0;
  return {.name = std::move(name),
          .measure =
              [pairs = std::move(pairs), loss](const DualEncoder& model, const EmbedOptions& options) {
                const auto embeddings = embed_pairs(model, pairs, options);
                auto scores = evaluate_retrieval(embeddings, options.ranks);
                scores.temperature = 1 / model.logit_scale().item<double>();
                auto figures = figures_of(json::parse(to_json(scores)));
                figures["loss"] = loss_of_all(model, embeddings, *loss);
                return figures;
              },
          .keys = keys_of(with)};
}

Validation validate_zero_shot(std::string name, std::shared_ptr<const PairSource> pairs,
                              std::vector<std::string> classes, std::vector<std::string> templates) {
  check(pairs != nullptr, "[validate_zero_shot] pairs: expected a data set, got a null pointer");
  check(!classes.empty(), "[validate_zero_shot] classes: expected at least one, got none");
  for (const auto& text : templates) class_prompts("class", std::vector{text});
  return {.name = std::move(name),
          .measure =
              [pairs = std::move(pairs), classes = std::move(classes), templates = std::move(templates)](
                  const DualEncoder& model, const EmbedOptions& options) {
                return figures_of(json::parse(to_json(evaluate_zero_shot(model, pairs, classes, templates, options))));
              },
          .keys = keys_of(figures_of(json::parse(to_json(ZeroShotScores{}))))};
}

}  // namespace vlalign
