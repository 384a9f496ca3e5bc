#include "train/batch_feed.hpp"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/full.h>
#include <ATen/ops/zeros.h>

#include <algorithm>
#include <unordered_set>

#include "core/check.hpp"
#include "nn/evaluation_mode.hpp"
#include "vlalign/nn/dual_encoder.hpp"

namespace vlalign {
namespace {

bool changes_pictures(const Augmentation& a) {
  const Augmentation none{};
  const auto all = [](const Augmentation& x) {
    return std::tie(x.crop_scale, x.rotate, x.shift, x.zoom, x.flip, x.brightness, x.contrast, x.saturation, x.hue,
                    x.grayscale);
  };
  return all(a) != all(none);
}

/// [B * frames, ...] as [B, frames, ...].
at::Tensor in_clips(const at::Tensor& rows, std::int64_t frames) { return rows.unflatten(0, {-1, frames}); }

/// Of rows that are clips' frames, those that end them; all rows where there are no clips.
at::Tensor last_frames(const at::Tensor& rows, std::int64_t frames) {
  return frames == 0 ? rows : in_clips(rows, frames).select(1, frames - 1);
}

/// Whether they have a parameter in common, as copies of a DualEncoder have all of theirs.
bool share_weights(const DualEncoder& a, const DualEncoder& b) {
  std::unordered_set<const void*> of_a;
  for (const auto& parameter : a.module()->parameters()) of_a.insert(parameter.unsafeGetTensorImpl());
  const auto of_b = b.module()->parameters();
  return std::any_of(of_b.begin(), of_b.end(),
                     [&](const auto& parameter) { return of_a.contains(parameter.unsafeGetTensorImpl()); });
}

}  // namespace

BatchFeed::BatchFeed(DualEncoder model, const ContrastiveLoss& loss, const TrainerOptions& options)
    : model_(std::move(model)),
      uses_(loss.uses()),
      precision_(options.precision),
      teacher_(options.teacher),
      targets_(options.targets) {
  const auto name = loss.name();
  check(!uses_.logit_bias || model_.module()->logit_bias.defined(),
        "[Trainer] the loss {} uses a logit bias, and the model {} has none: create or load it with one", name,
        model_.config().name);
  check(!targets_ || uses_.groups || uses_.soft_targets, "[Trainer] targets: the loss {} uses none", name);
  check(!uses_.second_image || changes_pictures(options.augmentation),
        "[Trainer] the loss {} compares two views of each image, which are equal without an augmentation", name);
  check(!uses_.teacher || teacher_, "[Trainer] the loss {} uses a teacher, and none is given", name);
  check(uses_.teacher || !teacher_, "[Trainer] teacher: the loss {} uses none", name);
  if (uses_.tokens) check_tokens();
  if (uses_.teacher) check_teacher();
}

/// Whether both towers give token features, and of the joint space's dimension after the projection: tried on one pair.
void BatchFeed::check_tokens() const {
  const at::NoGradGuard no_graph;
  const nn::EvaluationMode evaluating(*model_.module());
  const auto side = model_.config().preprocess.image_size;
  const auto image = model_.image_features(at::zeros({1, 3, side, side}, at::kByte));
  const auto text = model_.text_features(at::full({1, 2}, model_.tokenizer()->end_id(), at::kLong));
  const auto& module = *model_.module();
  const auto check_width = [](const char* tower, const at::Tensor& tokens, std::int64_t width) {
    check(tokens.defined() && tokens.size(2) == width,
          "[Trainer] the loss uses token features, and the {} tower gives none that its projection takes", tower);
  };
  check_width("image", places(image), module.visual->width());
  check_width("text", places(text), module.text->width());
}

void BatchFeed::check_teacher() const {
  check(!share_weights(model_, *teacher_),
        "[Trainer] teacher: it shares its weights with the model, and would learn from itself; load or create another");
  const auto& mine = model_.config().preprocess;
  const auto& its = teacher_->config().preprocess;
  check(its.image_size == mine.image_size,
        "[Trainer] teacher: it looks at {0}x{0} pixels, the model at {1}x{1}; load it at the model's image size",
        its.image_size, mine.image_size);
  check(its.pixels_as == mine.pixels_as,
        "[Trainer] teacher: it sees transparency and orientation otherwise than the model; load it with "
        "LoadOptions{{.pixels_as = model.config().preprocess.pixels_as}}");
  check(teacher_->config().text.context_length >= model_.config().text.context_length,
        "[Trainer] teacher: it reads {} tokens, the model {}", teacher_->config().text.context_length,
        model_.config().text.context_length);
  // Equal ids for a sentence with letters, digits, marks and an accent: the tokenizers agree.
  constexpr std::string_view sentence = "A photo of 3 red cups, don't drop Jos\u00e9's!";
  const auto length = model_.config().text.context_length;
  check(teacher_->tokenizer()->vocab_size() == model_.tokenizer()->vocab_size() &&
            teacher_->tokenizer()->encode(sentence, length) == model_.tokenizer()->encode(sentence, length),
        "[Trainer] teacher: its tokenizer is not the model's, so it can't read the same tokens");
}

/// Of each picture, or of each clip's last frame. Sets the batch's frames.
Features BatchFeed::image_features(const at::Tensor& pixels, ContrastiveBatch& out) const {
  auto features = model_.image_features(pixels, {}, precision_);
  if (uses_.frames == 0) return features;
  const auto& module = *model_.module();
  out.frames = in_clips(module.projected(features.pooled, module.image_projection), uses_.frames);
  for (auto* part : {&features.embedding, &features.tokens, &features.map, &features.mask})
    if (part->defined()) *part = last_frames(*part, uses_.frames);
  return features;
}

void BatchFeed::encode_pairs(ContrastiveBatch& out, const PairBatch& pairs) const {
  if (!uses_.tokens && uses_.frames == 0) {
    out.image = model_.encode_image(pairs.pixels, precision_);
    out.text = model_.encode_text(pairs.tokens, precision_);
    return;
  }
  const auto image = image_features(pairs.pixels, out), text = model_.text_features(pairs.tokens, {}, precision_);
  const auto& module = *model_.module();
  out.image = image.embedding;
  out.text = text.embedding;
  if (!uses_.tokens) return;
  out.image_tokens = {.features = module.in_joint_space(places(image), module.image_projection), .mask = image.mask};
  out.text_tokens = {.features = module.in_joint_space(places(text), module.text_projection), .mask = text.mask};
}

ContrastiveBatch BatchFeed::encode(const PairBatch& pairs, bool with_teacher) const {
  ContrastiveBatch out;
  if (pairs.records.empty()) return out;
  encode_pairs(out, pairs);
  if (uses_.second_image)
    out.second_image = model_.encode_image(last_frames(pairs.second_pixels, uses_.frames), precision_);
  if (uses_.teacher && with_teacher) {
    const at::NoGradGuard no_graph;
    out.teacher_image = teacher_->encode_image(last_frames(pairs.pixels, uses_.frames), precision_);
    out.teacher_text = teacher_->encode_text(pairs.tokens, precision_);
  }
  return out;
}

void BatchFeed::add_scale(ContrastiveBatch& whole, double progress) const {
  whole.logit_scale = model_.logit_scale();
  if (uses_.logit_bias) whole.logit_bias = model_.module()->logit_bias;
  if (uses_.teacher) whole.teacher_logit_scale = teacher_->logit_scale().detach();
  whole.progress = progress;
}

void BatchFeed::add_targets(ContrastiveBatch& whole, const PairBatch& batch) const {
  if (!targets_) return;
  const auto targets = targets_->make(batch);
  check(!targets.groups.defined() || uses_.groups, "[Trainer] targets: {} gives groups, which the loss doesn't use",
        targets_->name);
  check(!targets.soft.defined() || uses_.soft_targets,
        "[Trainer] targets: {} gives soft targets, which the loss doesn't use", targets_->name);
  if (targets.groups.defined()) whole.groups = targets.groups.to(model_.device());
  if (targets.soft.defined()) whole.soft_targets = targets.soft;
}

}  // namespace vlalign
