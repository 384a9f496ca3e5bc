#include "tool/stage_flag.hpp"

#include <gtest/gtest.h>

#include "support/temp_folder.hpp"
#include "vlalign/core/error.hpp"

namespace vlalign::tool::stage_flag_test {
namespace {

std::string error_in(const char* text) {
  return test::message_of<Error>([&] { parse_stage(text); });
}

TEST(StageFlag, IsAShareWithWhatTheStageShows) {
  const auto all = parse_stage("0.8:image_size=112,context_length=16,patch_dropout=0.5");
  EXPECT_EQ(all.share, 0.8);
  EXPECT_EQ(all.image_size, 112);
  EXPECT_EQ(all.context_length, 16);
  EXPECT_EQ(all.patch_dropout, 0.5);

  const auto alone = parse_stage("1");
  EXPECT_EQ(alone.share, 1);
  EXPECT_FALSE(alone.image_size || alone.context_length || alone.patch_dropout);

  const auto spaced = parse_stage(" 1e-1 : patch_dropout = 0 , image_size=64");
  EXPECT_EQ(spaced.share, 0.1);
  EXPECT_EQ(spaced.image_size, 64);
  EXPECT_EQ(spaced.patch_dropout, 0);
  EXPECT_FALSE(spaced.context_length);
}

TEST(StageFlag, WhatCantBeReadIsNamed) {
  const std::string form = "; a stage is SHARE:image_size=PIXELS,context_length=TOKENS,patch_dropout=SHARE";
  const auto share = [&](const std::string& got) {
    return "stage: expected a number for its share of the steps, got \"" + got + "\"" + form;
  };
  EXPECT_EQ(error_in(""), share(""));
  EXPECT_EQ(error_in("most:image_size=64"), share("most"));
  EXPECT_EQ(error_in("image_size=64"), share("image_size=64"));
  EXPECT_EQ(error_in("nan"), share("nan"));
  EXPECT_EQ(error_in("80%"), share("80%"));
  EXPECT_EQ(error_in("0.5:image_size=64px"),
            "stage: expected a whole number of pixels for image_size, got \"64px\"" + form);
  EXPECT_EQ(error_in("0.5:image_size=64.5"),
            "stage: expected a whole number of pixels for image_size, got \"64.5\"" + form);
  EXPECT_EQ(error_in("0.5:image_size=99999999999999999999"),
            "stage: expected a whole number of pixels for image_size, got \"99999999999999999999\"" + form);
  EXPECT_EQ(error_in("0.5:context_length"),
            "stage: expected a whole number of tokens for context_length, got \"\"" + form);
  EXPECT_EQ(error_in("0.5:patch_dropout=inf"), "stage: expected a number for patch_dropout, got \"inf\"" + form);
  const auto key = [&](const std::string& got) {
    return "stage: expected image_size, context_length or patch_dropout, got \"" + got + "\"" + form;
  };
  EXPECT_EQ(error_in("0.5:size=64"), key("size"));
  EXPECT_EQ(error_in("0.5:"), key(""));
  EXPECT_EQ(error_in("0.5:image_size=64,"), key(""));
  EXPECT_EQ(error_in("0.5:image_size=64,image_size=32"), "stage: image_size stands twice");
}

}  // namespace
}  // namespace vlalign::tool::stage_flag_test
