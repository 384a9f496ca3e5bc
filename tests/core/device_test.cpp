#include "vlalign/core/device.hpp"

#include <gtest/gtest.h>

#include "support/temp_folder.hpp"
#include "vlalign/core/error.hpp"

namespace vlalign::device_test {
namespace {

using test::message_of;

TEST(ParsePrecision, KnowsItsTwoNames) {
  EXPECT_EQ(parse_precision("fp32"), Precision::fp32);
  EXPECT_EQ(parse_precision("bf16"), Precision::bf16);
  EXPECT_EQ(message_of<Error>([] { parse_precision("fp8"); }),
            "unknown precision \"fp8\": it is fp32, bf16, fp16 or int8");
}

TEST(ParseDevice, RefusesWhatIsNoDevice) {
  EXPECT_EQ(parse_device("cpu"), c10::Device(c10::kCPU));
  EXPECT_EQ(message_of<Error>([] { parse_device("gpu"); }), "unknown device \"gpu\": it is cpu, cuda or cuda:N");
  EXPECT_THROW(parse_device("cuda:x"), Error);
  EXPECT_THROW(parse_device("cuda:99"), Error);
}

}  // namespace
}  // namespace vlalign::device_test
