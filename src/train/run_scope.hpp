// What a run changes around it, and puts back. Internal.
#pragma once

#include <ATen/core/Generator.h>
#include <c10/core/InferenceMode.h>
#include <torch/nn/module.h>

#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "kernels/thread_count.hpp"
#include "nn/evaluation_mode.hpp"
#include "vlalign/nn/layers.hpp"
#include "vlalign/train/trainer.hpp"

namespace vlalign {

/// LibTorch's default generator of a device goes on afterwards as if nobody had used it.
class KeptGenerator {
 public:
  explicit KeptGenerator(c10::Device device);
  KeptGenerator(const KeptGenerator&) = delete;
  KeptGenerator& operator=(const KeptGenerator&) = delete;
  ~KeptGenerator();

 private:
  at::Generator generator_;
  at::Tensor state_;
};

/// Takes gradients out of a module's parameters, and puts them back in place of those that are there then.
class GradientsAside {
 public:
  explicit GradientsAside(const torch::nn::Module& module);
  GradientsAside(const GradientsAside&) = delete;
  GradientsAside& operator=(const GradientsAside&) = delete;
  ~GradientsAside();

 private:
  std::vector<std::pair<at::Tensor, at::Tensor>> of_parameter_;
};

/// A teacher on the run's device and in evaluation mode.
class TeacherAtWork {
 public:
  TeacherAtWork(DualEncoder teacher, c10::Device device);
  TeacherAtWork(const TeacherAtWork&) = delete;
  TeacherAtWork& operator=(const TeacherAtWork&) = delete;
  ~TeacherAtWork();

 private:
  DualEncoder teacher_;
  c10::Device home_;
  nn::EvaluationMode mode_;
};

/// Batch norms have the statistics of all ranks' rows while it lives.
class SharedNorms {
 public:
  SharedNorms(const torch::nn::Module& module, const Ranks& ranks);
  SharedNorms(const SharedNorms&) = delete;
  SharedNorms& operator=(const SharedNorms&) = delete;
  ~SharedNorms();

 private:
  std::vector<std::shared_ptr<nn::BatchNorm2d>> norms_;
};

/// Everything outside the trained weights that a run changes is as before when this goes, however it goes: the calling
/// thread's count of threads and gradient mode, the default generator, the teacher, gradients. The module goes to the
/// run's device and stays there, in evaluation mode.
class RunScope {
 public:
  RunScope(torch::nn::Module& module, const TrainerOptions& options);
  RunScope(const RunScope&) = delete;
  RunScope& operator=(const RunScope&) = delete;
  ~RunScope();

 private:
  torch::nn::Module& module_;
  ThreadCount threads_;
  c10::InferenceMode with_gradients_{false};
  KeptGenerator generator_;
  std::optional<TeacherAtWork> teacher_;
  std::optional<GradientsAside> gradients_;
  std::optional<SharedNorms> norms_;
};

}  // namespace vlalign
