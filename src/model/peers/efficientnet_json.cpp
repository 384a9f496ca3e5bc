#include "model/peers/efficientnet_json.hpp"

#include "model/peers/hugging_face_keys.hpp"

namespace vlalign {

using nlohmann::json;

EfficientNetConfig efficientnet_of(JsonSection section) {
  check_channels(section);
  EfficientNetConfig net;
  net.width_coefficient = section.number_between("width_coefficient", 2.0, 0.01, 100);
  net.depth_coefficient = section.number_between("depth_coefficient", 3.1, 0.01, 100);
  net.depth_divisor = section.positive("depth_divisor", 8);
  net.kernel_sizes = section.positives("kernel_sizes", net.kernel_sizes);
  net.in_channels = section.positives("in_channels", net.in_channels);
  net.out_channels = section.positives("out_channels", net.out_channels);
  net.strides = section.positives("strides", net.strides);
  net.num_block_repeats = section.positives("num_block_repeats", net.num_block_repeats);
  net.expand_ratios = section.positives("expand_ratios", net.expand_ratios);
  net.depthwise_padding = section.get("depthwise_padding", net.depthwise_padding);
  net.squeeze_expansion_ratio = section.number_between("squeeze_expansion_ratio", 0.25, 0, 1);
  net.hidden_dim = section.positive("hidden_dim", 2560);
  net.norm_eps = section.number_between("batch_norm_eps", 1e-3, 0, 1);
  net.norm_momentum = section.number_between("batch_norm_momentum", 0.99, 0, 1);
  const auto act = section.get<std::string>("hidden_act", "swish"),
             pooling = section.get<std::string>("pooling_type", "mean");
  check(act == "swish" || act == "silu", "{}.hidden_act: only swish is built here, got {}", section.where(), act);
  check(pooling == "mean", "{}.pooling_type: only mean is built here, got {}", section.where(), pooling);
  return net;
}

json to_json(const EfficientNetConfig& net) {
  return {{"num_channels", 3},
          {"width_coefficient", net.width_coefficient},
          {"depth_coefficient", net.depth_coefficient},
          {"depth_divisor", net.depth_divisor},
          {"kernel_sizes", net.kernel_sizes},
          {"in_channels", net.in_channels},
          {"out_channels", net.out_channels},
          {"strides", net.strides},
          {"num_block_repeats", net.num_block_repeats},
          {"expand_ratios", net.expand_ratios},
          {"depthwise_padding", net.depthwise_padding},
          {"squeeze_expansion_ratio", net.squeeze_expansion_ratio},
          {"hidden_dim", net.hidden_dim},
          {"hidden_act", "swish"},
          {"pooling_type", "mean"},
          {"batch_norm_eps", net.norm_eps},
          {"batch_norm_momentum", net.norm_momentum}};
}

}  // namespace vlalign
