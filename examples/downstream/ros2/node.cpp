// A policy as a ROS 2 node: see README.md.
#include <cstdint>
#include <exception>
#include <memory>
#include <rclcpp/rclcpp.hpp>
#include <sensor_msgs/msg/image.hpp>
#include <sensor_msgs/msg/joint_state.hpp>
#include <std_msgs/msg/float32_multi_array.hpp>
#include <std_msgs/msg/string.hpp>
#include <string>
#include <vector>
#include <vlalign/vla/live_policy.hpp>

#include "ros.hpp"

namespace {

using sensor_msgs::msg::Image;
using sensor_msgs::msg::JointState;
using std_msgs::msg::Float32MultiArray;
using std_msgs::msg::String;
namespace vla = vlalign::vla;

/// All callbacks run one after the other, as rclcpp::spin() has it, so nothing here needs a lock.
class PolicyNode : public rclcpp::Node {
 public:
  PolicyNode() : Node("vlalign_policy"), policy_(load()) {
    actions_ = create_publisher<Float32MultiArray>("action", 10);
    // Only the newest frame: one that had to wait is out of date.
    frames_ = create_subscription<Image>("image", rclcpp::SensorDataQoS().keep_last(1),
                                         [this](Image::ConstSharedPtr frame) { act(*frame); });
    words_ = create_subscription<String>("instruction", 10, [this](String::ConstSharedPtr words) {
      policy_.set_instruction(words->data);
      instructed_ = true;
    });
    if (state_dims_ == 0) return;
    joints_ = create_subscription<JointState>("joint_states", 10, [this](JointState::ConstSharedPtr joints) {
      state_.assign(joints->position.begin(), joints->position.end());
    });
  }

 private:
  vla::LivePolicy load() {
    const auto policy = vla::Policy::load(declare_parameter<std::string>("policy"));
    state_dims_ = policy.config().state;
    action_.data.resize(static_cast<std::size_t>(policy.config().actions.dims));
    return vla::LivePolicy(policy, {.threads = static_cast<int>(declare_parameter<std::int64_t>("threads", 1)),
                                    .ensemble = declare_parameter<double>("ensemble", 0.01)});
  }

  void act(const Image& frame) {
    if (!instructed_) return;
    try {
      policy_.act(adapters::view_of(frame), state_, action_.data);
      actions_->publish(action_);
    } catch (const std::exception& error) {
      RCLCPP_ERROR_THROTTLE(get_logger(), *get_clock(), 1000, "%s", error.what());
    }
  }

  std::int64_t state_dims_ = 0;  // load() sets this and the next
  Float32MultiArray action_;
  vla::LivePolicy policy_;
  bool instructed_ = false;
  std::vector<float> state_;  // what the policy was trained with, in the same order
  rclcpp::Publisher<Float32MultiArray>::SharedPtr actions_;
  rclcpp::Subscription<Image>::SharedPtr frames_;
  rclcpp::Subscription<String>::SharedPtr words_;
  rclcpp::Subscription<JointState>::SharedPtr joints_;
};

}  // namespace

int main(int argc, char** argv) {
  rclcpp::init(argc, argv);
  int status = 0;
  try {
    rclcpp::spin(std::make_shared<PolicyNode>());
  } catch (const std::exception& error) {
    RCLCPP_FATAL(rclcpp::get_logger("vlalign_policy"), "%s", error.what());
    status = 1;
  }
  rclcpp::shutdown();
  return status;
}
