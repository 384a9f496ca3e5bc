#include "core/base64.hpp"

#include <gtest/gtest.h>

#include <numeric>

#include "vlalign/core/error.hpp"

namespace vlalign::base64_test {
namespace {

TEST(Base64, IsThatOfTheRfc) {  // RFC 4648, section 10
  constexpr std::pair<const char*, const char*> vectors[] = {{"", ""},
                                                             {"f", "Zg=="},
                                                             {"fo", "Zm8="},
                                                             {"foo", "Zm9v"},
                                                             {"foob", "Zm9vYg=="},
                                                             {"fooba", "Zm9vYmE="},
                                                             {"foobar", "Zm9vYmFy"}};
  for (const auto& [bytes, text] : vectors) {
    EXPECT_EQ(encode_base64(bytes), text);
    EXPECT_EQ(decode_base64(text, "x"), bytes);
  }
  EXPECT_EQ(encode_base64("\xfb\xff\xbf"), "+/+/");
}

TEST(Base64, KeepsEveryByte) {
  std::string all(256, '\0');
  std::iota(all.begin(), all.end(), '\0');
  EXPECT_EQ(decode_base64(encode_base64(all), "x"), all);
}

TEST(Base64, NamesWhatIsNone) {
  try {
    decode_base64("Zm9v!g==", "charsmap");
    FAIL();
  } catch (const Error& error) {
    EXPECT_STREQ(error.what(), "charsmap: '!' is no base64");
  }
}

}  // namespace
}  // namespace vlalign::base64_test
