#include "vlalign/eval/templates.hpp"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "core/json/parse_json.hpp"
#include "support/temp_folder.hpp"
#include "vlalign/core/error.hpp"

namespace {

TEST(Templates, AreThoseOfOpenClip) {
  const auto peer = vlalign::read_json_object(VLALIGN_FIXTURES "/templates/templates.json");
  ASSERT_EQ(peer.size(), vlalign::template_lists().size());
  for (const auto& name : vlalign::template_lists())
    EXPECT_EQ(vlalign::templates(name), peer.at(name).get<std::vector<std::string>>()) << name;
}

TEST(Templates, OfAnotherNameAreRefusedWithTheNamesThereAre) {
  EXPECT_EQ(vlalign::test::message_of<vlalign::Error>([] { vlalign::templates("OpenAI"); }),
            "there is no list of templates called \"OpenAI\"; there are: openai, simple");
}

}  // namespace
