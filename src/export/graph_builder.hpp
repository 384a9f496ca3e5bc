// Puts a graph together, node by node. Internal.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "export/onnx_model.hpp"
#include "export/size.hpp"

namespace vlalign::onnx {

/// A value of a graph, by its name.
using Name = std::string;
using Names = std::vector<Name>;

/// Where a graph finds the sizes of a batch: a dimension of one of its inputs each.
struct SizeSources {
  std::pair<Name, std::int64_t> rows, tokens{};
};

class GraphBuilder {
 public:
  GraphBuilder(std::string name, std::int64_t opset, SizeSources sizes);

  Name add_input(ValueInfo input);
  void add_output(ValueInfo output, const Name& value);

  /// A node with one output.
  Name add(std::string_view operation, const Names& inputs, const Attributes& attributes = {});
  Names add_several(std::string_view operation, const Names& inputs, std::size_t outputs,
                    const Attributes& attributes = {});

  /// Equal tensors are one initializer, under the first of their names.
  Name constant(const at::Tensor& tensor, const std::string& name = {});
  /// A number of that type, [].
  Name scalar(double value, at::ScalarType dtype);
  /// int64 [n]
  Name integers(const std::vector<std::int64_t>& values);

  /// int64 [1]
  Name size(const Size& size);
  /// int64 [n]
  Name shape(const std::vector<Size>& sizes);

  /// `value` of type `from` as one of type `to`.
  Name cast(const Name& value, at::ScalarType from, at::ScalarType to);

  Model finish(std::map<std::string, std::string> metadata) &&;

 private:
  Name unique(const std::string& wanted);
  Name dimension(const std::pair<Name, std::int64_t>& source);
  Name times(std::int64_t factor, const Name& value);

  Model model_;
  SizeSources sources_;
  std::unordered_map<std::string, int> names_;  ///< how often each was wanted
  std::map<std::string, Name> sizes_;           ///< by what to_string() makes of them
  std::unordered_multimap<std::size_t, Initializer> constants_;
};

}  // namespace vlalign::onnx
