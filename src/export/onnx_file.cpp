#include "export/onnx_file.hpp"

#include "core/io/files.hpp"
#include "export/protobuf_message.hpp"
#include "vlalign/core/version.hpp"

namespace vlalign::onnx {
namespace {

// The numbers of fields are onnx.proto's.

constexpr std::int64_t ir_version = 8;            // of opset 17
constexpr std::int64_t aligned_to = 4096;         // ONNX's advice, so that the file can be mapped
constexpr std::int64_t smallest_external = 1024;  // bytes
constexpr std::int64_t lies_outside = 1;          // TensorProto.DataLocation.EXTERNAL

ProtobufMessage entry(std::string_view key, std::string_view value) {
  ProtobufMessage message;
  message.add_text(1, key);
  message.add_text(2, value);
  return message;
}

ProtobufMessage described_tensor(const std::string& name, const at::Tensor& tensor) {
  ProtobufMessage message;
  for (const auto size : tensor.sizes()) message.add_integer(1, size);
  message.add_integer(2, element_type(tensor.scalar_type()));
  if (!name.empty()) message.add_text(8, name);
  return message;
}

ProtobufMessage whole_tensor(const std::string& name, const at::Tensor& given) {
  const auto tensor = as_written(given);
  auto message = described_tensor(name, tensor);
  message.add_bytes(9, tensor);
  return message;
}

struct AttributeFields {
  ProtobufMessage& message;

  void operator()(std::int64_t value) const { message.add_integer(3, value), type(2); }
  void operator()(double value) const { message.add_float(2, static_cast<float>(value)), type(1); }
  void operator()(const std::string& value) const { message.add_text(4, value), type(3); }
  void operator()(const at::Tensor& value) const { message.add_message(5, whole_tensor("", value)), type(4); }
  void operator()(const std::vector<std::int64_t>& values) const {
    for (const auto value : values) message.add_integer(8, value);
    type(7);
  }
  void operator()(const std::vector<double>& values) const {
    for (const auto value : values) message.add_float(7, static_cast<float>(value));
    type(6);
  }
  void type(std::int64_t number) const { message.add_integer(20, number); }
};

ProtobufMessage encoded(const Node& node) {
  ProtobufMessage message;
  for (const auto& input : node.inputs) message.add_text(1, input);
  for (const auto& output : node.outputs) message.add_text(2, output);
  message.add_text(3, node.name);
  message.add_text(4, node.operation);
  for (const auto& [name, value] : node.attributes) {
    ProtobufMessage attribute;
    attribute.add_text(1, name);
    std::visit(AttributeFields{attribute}, value);
    message.add_message(5, std::move(attribute));
  }
  return message;
}

ProtobufMessage encoded(const ValueInfo& info) {
  ProtobufMessage shape;
  for (const auto& size : info.shape) {
    ProtobufMessage dimension;
    if (const auto* number = std::get_if<std::int64_t>(&size)) dimension.add_integer(1, *number);
    if (const auto* name = std::get_if<std::string>(&size)) dimension.add_text(2, *name);
    shape.add_message(1, std::move(dimension));
  }
  ProtobufMessage tensor, type, message;
  tensor.add_integer(1, element_type(info.dtype));
  tensor.add_message(2, std::move(shape));
  type.add_message(1, std::move(tensor));
  message.add_text(1, info.name);
  message.add_message(2, std::move(type));
  return message;
}

std::int64_t bytes_in(const at::Tensor& tensor) {
  return tensor.numel() * static_cast<std::int64_t>(tensor.scalar_type() == at::kDouble ? 4 : tensor.element_size());
}

/// Where each weight lies in the file beside.
class ExternalData {
 public:
  ExternalData(std::filesystem::path file, bool wanted) : file_(std::move(file)), wanted_(wanted) {}

  ProtobufMessage placed(const Initializer& initializer) {
    const auto bytes = bytes_in(initializer.tensor);
    if (!wanted_ || bytes < smallest_external) return whole_tensor(initializer.name, initializer.tensor);
    end_ = (end_ + aligned_to - 1) / aligned_to * aligned_to;
    auto message = described_tensor(initializer.name, initializer.tensor);
    message.add_message(13, entry("location", file_.filename().string()));
    message.add_message(13, entry("offset", std::to_string(end_)));
    message.add_message(13, entry("length", std::to_string(bytes)));
    message.add_integer(14, lies_outside);
    places_.push_back({end_, initializer.tensor});
    end_ += bytes;
    return message;
  }

  void write() const {
    if (places_.empty()) return;
    write_file_atomically(file_, [&](const auto& write) {
      std::int64_t written = 0;
      for (const auto& [offset, tensor] : places_) {
        write(std::string(static_cast<std::size_t>(offset - written), '\0'));
        const auto whole = as_written(tensor);
        write(bytes_of(whole));
        written = offset + static_cast<std::int64_t>(whole.nbytes());
      }
    });
  }

 private:
  struct Place {
    std::int64_t offset;
    at::Tensor tensor;
  };
  std::filesystem::path file_;
  bool wanted_;
  std::vector<Place> places_;
  std::int64_t end_ = 0;
};

ProtobufMessage encoded_graph(const Model& model, ExternalData& external) {
  ProtobufMessage graph;
  for (const auto& node : model.nodes) graph.add_message(1, encoded(node));
  graph.add_text(2, model.name);
  for (const auto& initializer : model.initializers) graph.add_message(5, external.placed(initializer));
  for (const auto& input : model.inputs) graph.add_message(11, encoded(input));
  for (const auto& output : model.outputs) graph.add_message(12, encoded(output));
  return graph;
}

}  // namespace

void write_model(const std::filesystem::path& file, const Model& model, std::int64_t external_above) {
  std::int64_t weights = 0;
  for (const auto& initializer : model.initializers) weights += bytes_in(initializer.tensor);
  ExternalData external(file.string() + ".data", weights > external_above);
  ProtobufMessage message, opset;
  message.add_integer(1, ir_version);
  message.add_text(2, "vlalign");
  message.add_text(3, version());
  message.add_message(7, encoded_graph(model, external));
  opset.add_text(1, "");
  opset.add_integer(2, model.opset);
  message.add_message(8, std::move(opset));
  for (const auto& [key, value] : model.metadata) message.add_message(14, entry(key, value));
  external.write();
  write_file_atomically(file, [&](const auto& write) { message.write(write); });
}

}  // namespace vlalign::onnx
