#include "train/run_scope.hpp"

#include <ATen/Context.h>

#include <mutex>

#include "core/log.hpp"
#include "nn/shared_batch_norm.hpp"
#include "vlalign/nn/dual_encoder.hpp"

namespace vlalign {

KeptGenerator::KeptGenerator(c10::Device device) : generator_(at::globalContext().defaultGenerator(device)) {
  const std::lock_guard lock(generator_.mutex());
  state_ = generator_.get_state();
}

KeptGenerator::~KeptGenerator() {
  const std::lock_guard lock(generator_.mutex());
  generator_.set_state(state_);
}

GradientsAside::GradientsAside(const torch::nn::Module& module) {
  for (const auto& parameter : module.parameters()) {
    of_parameter_.emplace_back(parameter, parameter.mutable_grad());
    parameter.mutable_grad().reset();
  }
}

GradientsAside::~GradientsAside() {
  for (const auto& [parameter, gradient] : of_parameter_) parameter.mutable_grad() = gradient;
}

TeacherAtWork::TeacherAtWork(DualEncoder teacher, c10::Device device)
    : teacher_(std::move(teacher)), home_(teacher_.device()), mode_(*teacher_.module()) {
  teacher_.to(device);
}

TeacherAtWork::~TeacherAtWork() {
  try {
    teacher_.to(home_);
  } catch (const std::exception& error) {  // no memory there any more; there may be another error on its way
    log_warning("the teacher stays on {}: {}", teacher_.device().str(), error.what());
  }
}

SharedNorms::SharedNorms(const torch::nn::Module& module, const Ranks& ranks) : norms_(nn::batch_norms(module)) {
  for (const auto& norm : norms_) norm->ranks = ranks;
}

SharedNorms::~SharedNorms() {
  for (const auto& norm : norms_) norm->ranks = Ranks();
}

RunScope::RunScope(torch::nn::Module& module, const TrainerOptions& options)
    : module_(module), threads_(options.threads), generator_(options.device) {
  if (options.teacher) teacher_.emplace(*options.teacher, options.device);
  module.to(options.device);
  gradients_.emplace(module);
  if (options.sync_batch_norm) norms_.emplace(module, options.ranks);
}

RunScope::~RunScope() { module_.train(false); }

}  // namespace vlalign
