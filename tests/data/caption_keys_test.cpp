#include "data/sources/caption_keys.hpp"

#include <map>

#include "core/json/parse_json.hpp"
#include "data/pairs_fixture.hpp"
#include "data/sources/json_captions.hpp"

namespace vlalign::test::caption_keys_test {
namespace {

using Keys = std::vector<CaptionKey>;

std::string error_of(const auto& function) {
  try {
    function();
  } catch (const Error& error) {
    return error.what();
  }
  return "nothing was thrown";
}

std::string error_in(std::string_view text) {
  return error_of([&] { parse_caption_keys(text); });
}

/// "key=weight", with a space between keys.
std::string shown(const Keys& keys) {
  std::string all;
  for (const auto& key : keys) all += fmt::format("{}{}={}", all.empty() ? "" : " ", key.key, key.probability);
  return all;
}

/// How many numbers a function draws of the generator it gets.
int drawn(const auto& function) {
  Rng used({7}), fresh({7});
  function(used);
  const auto after = used.next();
  for (int count = 0; count < 10; ++count) {
    if (fresh.next() == after) return count;
  }
  return -1;
}

TEST(CaptionKeys, AreReadWithTheirWeights) {
  EXPECT_EQ(shown(parse_caption_keys("caption=1,re_caption=2")), "caption=1 re_caption=2");
  EXPECT_EQ(shown(parse_caption_keys("caption")), "caption=1");
  EXPECT_EQ(shown(parse_caption_keys(" a = 0.25 ,b,two words=1e-3, c=0 ")), "a=0.25 b=1 two words=0.001 c=0");
  EXPECT_EQ(shown(parse_caption_keys("a=b=3,caf\u00e9=.5")), "a=b=3 caf\u00e9=0.5");
}

TEST(CaptionKeys, AreRefusedInWords) {
  for (const auto* empty : {"", " ", ",", "a,", ",a", "a,,b", "=1", " =1"}) {
    EXPECT_HAS(error_in(empty), "caption keys: expected a key such as caption=1, got an empty one") << empty;
  }
  for (const auto* word : {"", "one", "1x", "0x1", "1e999", "1 2"}) {
    EXPECT_EQ(error_in(fmt::format("a={}", word)),
              fmt::format("caption keys: expected a number behind \"a=\", got \"{}\"", word));
  }
  EXPECT_EQ(error_in("a=-1"), "caption keys: expected 0 or more for \"a\", got -1");
  EXPECT_EQ(error_in("a=nan"), "caption keys: expected 0 or more for \"a\", got nan");
  EXPECT_EQ(error_in("a=inf"), "caption keys: expected 0 or more for \"a\", got inf");
  EXPECT_EQ(error_in("a=0,b=0"), "caption keys: expected a number above 0 for one of \"a\", \"b\"");
  EXPECT_EQ(error_in("a=1,b=2,a=3"), "caption keys: expected each once, \"a\" stands there twice");
  EXPECT_EQ(error_in("a=1e308,b=1e308"), "caption keys: expected a sum that a double can hold for \"a\", \"b\"");
  EXPECT_HAS(error_of([] { check_caption_keys(Keys{}); }), "caption keys: expected at least one");
}

TEST(CaptionKeys, GiveAllCaptionsInTheirOrder) {
  const auto record = json::parse(R"({"long": ["l1", " ", null, "l2"], "short": "s1", "blank": " \t", "none": null})");
  EXPECT_EQ(captions_of(record, Keys{{"short", 1}, {"long", 0}}), (Captions{"s1", "l1", "l2"}));
  EXPECT_EQ(captions_of(record, Keys{{"long", 1}, {"missing", 1}, {"blank", 1}, {"none", 1}, {"short", 1}}),
            (Captions{"l1", "l2", "s1"}));
  EXPECT_EQ(error_of([&] {
              captions_of(record, Keys{{"blank", 1}, {"none", 1}});
            }),
            "no caption under any of \"blank\", \"none\"");
}

TEST(CaptionKeys, RefuseWhatIsNoText) {
  for (const auto* value : {"1", "true", "{}", "[\"a\", 2]", "[[\"a\"]]", "NaN"}) {
    const auto record = parse_record(fmt::format(R"({{"good": "g", "bad": {}}})", value));
    const Keys keys = {{"good", 1}, {"bad", 0}};
    Rng rng({1});
    EXPECT_HAS(error_of([&] { captions_of(record, keys); }), "\"bad\" must be a string or a list of strings") << value;
    EXPECT_HAS(error_of([&] { pick_caption(record, keys, rng); }), "\"bad\" must be a string") << value;
  }
}

TEST(CaptionKeys, DrawOnlyWhereThereIsAChoice) {
  const auto record =
      json::parse(R"({"one": "o", "many": ["m1", "m2", "m3"], "blank": "", "listed": ["l", null, ""]})");
  const auto drawn_of = [&](const Keys& keys) { return drawn([&](Rng& rng) { pick_caption(record, keys, rng); }); };
  EXPECT_EQ(drawn_of({{"one", 1}}), 0);
  EXPECT_EQ(drawn_of({{"listed", 1}}), 0);
  EXPECT_EQ(drawn_of({{"blank", 5}, {"one", 1}, {"missing", 2}, {"many", 0}}), 0);
  EXPECT_EQ(drawn_of({{"many", 1}, {"one", 0}}), 1);
  // Of two keys each has a chance at some draw: one number where the lone caption comes, two where one of three does.
  for (std::uint64_t seed = 0; seed < 100; ++seed) {
    Rng used({seed}), fresh({seed});
    const auto caption = pick_caption(record, Keys{{"one", 1}, {"many", 1}}, used);
    for (int i = 0; i < (caption == "o" ? 1 : 2); ++i) fresh.next();
    EXPECT_EQ(used.next(), fresh.next()) << caption;
  }
}

TEST(CaptionKeys, DrawTheKeyByTheFirstNumberAndTheCaptionByTheSecond) {
  const auto record = json::parse(R"({"a": "a0", "b": ["b0", "b1"], "c": ["c0", "c1", "c2"]})");
  const Keys keys = {{"a", 1}, {"b", 2}, {"c", 5}};
  for (std::uint64_t seed = 0; seed < 1000; ++seed) {
    Rng rng({seed}), same({seed});
    const double place = 8 * same.uniform();
    const auto key = place < 1 ? 'a' : place < 3 ? 'b' : 'c';
    const auto caption = key == 'a' ? 0 : same.below(key == 'b' ? 2 : 3);
    EXPECT_EQ(pick_caption(record, keys, rng), fmt::format("{}{}", key, caption));
  }
}

TEST(CaptionKeys, NeverDrawAKeyOfWeightZero) {
  const auto record = json::parse(R"({"first": "f", "middle": "m", "last": "l"})");
  for (std::uint64_t seed = 0; seed < 1000; ++seed) {
    Rng rng({seed});
    EXPECT_EQ(pick_caption(record, Keys{{"first", 0}, {"middle", 1}, {"last", 0}}, rng), "m");
    EXPECT_NE(pick_caption(record, Keys{{"first", 1}, {"middle", 0}, {"last", 1}}, rng), "m");
  }
  Rng rng({1});
  EXPECT_EQ(error_of([&] {
              pick_caption(record, Keys{{"first", 0}, {"missing", 1}}, rng);
            }),
            "no caption under any of \"first\", \"missing\" that is drawn with a probability above 0");
  EXPECT_HAS(error_of([&] {
               choose_caption(std::vector<std::size_t>{1}, Keys{{"a", 1}, {"b", 1}}, rng);
             }),
             "expected 2 counts of captions, got 1");
}

/// Pearson's statistic of counts beside what is expected of them.
double chi_square(const std::map<std::string, int>& counts, const std::map<std::string, double>& shares, int draws) {
  double sum = 0.0;
  for (const auto& [caption, share] : shares) {
    const auto found = counts.find(caption);
    const double off = (found == counts.end() ? 0 : found->second) - share * draws;
    sum += off * off / (share * draws);
  }
  return sum;
}

TEST(CaptionKeys, AreDrawnAsOftenAsTheyWeigh) {
  const auto record = json::parse(R"({"a": "a", "b": ["b0", "b1"], "c": [" ", null], "d": ["d0", "d1", "d2", "d3"]})");
  const Keys keys = {{"missing", 4}, {"a", 0.1}, {"c", 7}, {"b", 0.3}, {"never", 0}, {"d", 0.6}};
  // What "missing" and "c" weigh goes to the others by their own weights.
  const std::map<std::string, double> shares = {{"a", 0.1},   {"b0", 0.15}, {"b1", 0.15}, {"d0", 0.15},
                                                {"d1", 0.15}, {"d2", 0.15}, {"d3", 0.15}};
  constexpr int draws = 100'000;
  std::map<std::string, int> in_a_row, keyed;
  Rng one({3});
  for (int i = 0; i < draws; ++i) {
    ++in_a_row[pick_caption(record, keys, one)];
    Rng own({3, static_cast<std::uint64_t>(i)});
    ++keyed[pick_caption(record, keys, own)];
  }
  // 6 degrees of freedom: beyond 35 with a probability of 4e-6.
  for (const auto& counts : {in_a_row, keyed}) {
    EXPECT_EQ(counts.size(), shares.size());
    EXPECT_LT(chi_square(counts, shares, draws), 35.0);
  }
}

TEST(CaptionKeys, FindNoCaptionsWhereCaptionsOfOneKeyThrows) {
  const auto record = json::parse(R"({"blank": " ", "none": null, "empty": [], "good": "g"})");
  for (const std::string key : {"blank", "none", "empty", "missing"}) {
    EXPECT_TRUE(find_captions(record, key).empty()) << key;
    EXPECT_EQ(error_of([&] { captions_of(record, key); }),
              key == "missing" ? "no \"missing\"" : "\"" + key + "\" is empty");
  }
  EXPECT_EQ(find_captions(record, "good"), Captions{"g"});
}

}  // namespace
}  // namespace vlalign::test::caption_keys_test
