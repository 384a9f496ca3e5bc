#include "export/merged_program.hpp"

#include <ATen/TensorOperators.h>

#include <algorithm>

#include "core/check.hpp"

namespace vlalign::onnx {
namespace {

class ProgramMerger {
 public:
  ProgramMerger(const std::vector<Program>& recordings, std::span<const Extent> extents, const std::string& what)
      : recordings_(recordings), extents_(extents), what_(what), whole_(recordings.front()) {}

  Program merge() {
    check_same_operators();
    for (const auto id : whole_.inputs) merge_shape(id, "an input");
    for (operator_ = 0; operator_ < whole_.operators.size(); ++operator_) {
      auto& op = whole_.operators[operator_];
      for (argument_ = 0; argument_ < op.arguments.size(); ++argument_) merge_argument(op.arguments[argument_]);
      for (const auto id : op.results) merge_shape(id, "its result");
    }
    return std::move(whole_);
  }

 private:
  const std::string& operator_name() const { return name_of(whole_.operators[operator_]); }

  void check_same_operators() const {
    const auto& first = whole_.operators;
    for (std::size_t i = 1; i < recordings_.size(); ++i) {
      const auto& other = recordings_[i].operators;
      const auto differs =
          std::mismatch(first.begin(), first.end(), other.begin(), other.end(), [](const auto& a, const auto& b) {
            return a.name == b.name && a.results == b.results && a.arguments.size() == b.arguments.size();
          });
      if (differs.first == first.end() && differs.second == other.end()) continue;
      const auto name = [](const auto& at, const auto& end) { return at == end ? "its end" : name_of(*at).c_str(); };
      fail(
          "[export] {} goes other ways for inputs of other sizes: of {} it comes to {}, of {} to {}, which no graph "
          "can say",
          what_, described(0), name(differs.first, first.end()), described(i), name(differs.second, other.end()));
    }
  }

  std::string described(std::size_t i) const {
    const auto [rows, tokens] = extents_[i];
    return tokens > 0 ? fmt::format("{} rows of {} tokens", rows, tokens) : fmt::format("{} rows", rows);
  }

  const Argument& in(std::size_t recording) const {
    return recordings_[recording].operators[operator_].arguments[argument_];
  }

  void merge_argument(Argument& argument) {
    for (std::size_t i = 1; i < recordings_.size(); ++i)
      if (in(i).index() != argument.index()) refuse_change();
    if (auto* size = std::get_if<Size>(&argument)) {
      *size = merge_size([&](std::size_t i) { return std::get<Size>(in(i)).constant; }, "a number that it is given");
    } else if (auto* sizes = std::get_if<std::vector<Size>>(&argument)) {
      merge_sizes(
          *sizes, [&](std::size_t i) -> const auto& { return std::get<std::vector<Size>>(in(i)); });
    } else {
      for (std::size_t i = 1; i < recordings_.size(); ++i)
        if (in(i) != argument) refuse_change();
    }
    if (const auto* id = std::get_if<ValueId>(&argument)) check_constant(*id);
    if (const auto* ids = std::get_if<std::vector<ValueId>>(&argument))
      for (const auto id : *ids) check_constant(id);
  }

  [[noreturn]] void refuse_change() const {
    fail("[export] {}: what {} is given as argument {} changes with the input, which no graph can say", what_,
         operator_name(), argument_ + 1);
  }

  template <typename SizesOf>
  void merge_sizes(std::vector<Size>& sizes, const SizesOf& of) {
    for (std::size_t i = 1; i < recordings_.size(); ++i)
      if (of(i).size() != sizes.size()) refuse_change();
    for (std::size_t k = 0; k < sizes.size(); ++k)
      sizes[k] = merge_size([&](std::size_t i) { return of(i)[k].constant; }, "a size that it is given");
  }

  template <typename SizeOf>
  Size merge_size(const SizeOf& of, const char* which) const {
    std::vector<std::int64_t> seen;
    for (std::size_t i = 0; i < recordings_.size(); ++i) seen.push_back(of(i));
    if (const auto size = explain(seen, extents_)) return *size;
    std::string cases;
    for (std::size_t i = 0; i < seen.size(); ++i)
      cases += fmt::format("{}{} for {}", i > 0 ? ", " : "", seen[i], described(i));
    fail("[export] {}: {}: {} is no sum of products of the batch's rows and tokens: {}", what_,
         operator_ < whole_.operators.size() ? operator_name() : "an output", which, cases);
  }

  void merge_shape(ValueId id, const char* which) {
    if (id.is_none()) return;
    auto& shape = whole_.values[static_cast<std::size_t>(id.number)].shape;
    for (std::size_t i = 1; i < recordings_.size(); ++i)
      check(recordings_[i].at(id).shape.size() == shape.size() && recordings_[i].at(id).dtype == whole_.at(id).dtype,
            "[export] {}: {} has other dimensions or another type for other inputs", what_, which);
    for (std::size_t k = 0; k < shape.size(); ++k)
      shape[k] = merge_size([&](std::size_t i) { return recordings_[i].at(id).shape[k].constant; }, which);
  }

  void check_constant(ValueId id) const {
    if (id.is_none() || !whole_.at(id).constant.defined()) return;
    const auto& expected = whole_.at(id).constant;
    for (std::size_t i = 1; i < recordings_.size(); ++i) {
      const auto& other = recordings_[i].at(id).constant;
      const bool same = other.defined() && (other.is_same(expected) || same_numbers(other, expected));
      if (!same)
        fail(
            "[export] {}: {} reads a tensor {} that changes with the input and was computed where LibTorch's tracer "
            "doesn't see it, through a pointer perhaps: what a graph is to compute must be done by ATen's operators",
            what_, operator_name(), expected.sizes());
    }
  }

  static bool same_numbers(const at::Tensor& a, const at::Tensor& b) {
    if (a.sizes() != b.sizes() || a.scalar_type() != b.scalar_type()) return false;
    return a.const_data_ptr() == b.const_data_ptr() || a.equal(b);
  }

  const std::vector<Program>& recordings_;
  std::span<const Extent> extents_;
  const std::string& what_;
  Program whole_;
  std::size_t operator_ = 0, argument_ = 0;
};

}  // namespace

Program merged(const std::vector<Program>& recordings, std::span<const Extent> extents, const std::string& what) {
  return ProgramMerger(recordings, extents, what).merge();
}

}  // namespace vlalign::onnx
