// The fixture is tests/fixtures/make_parquet_rows.py's: a table with a column of every kind, in three row groups.
#include "data/sources/parquet_rows.hpp"

#include <cmath>
#include <thread>

#include "core/json/parse_json.hpp"
#include "core/json/python_json.hpp"
#include "data/pairs_fixture.hpp"
#include "data/sources/record_filter.hpp"

namespace vlalign::test::parquet_rows_test {
namespace {

const fs::path folder = fs::path(VLALIGN_FIXTURES) / "parquet";
using Columns = std::vector<std::string>;

class ParquetRows : public Pairs {};

std::string error_reading(const fs::path& file, const Columns& columns) {
  try {
    read_parquet_rows(file, columns);
  } catch (const Error& error) {
    return error.what();
  }
  return "nothing was thrown";
}

#ifdef VLALIGN_LEROBOT

json expected_rows() { return parse_json(read_text(folder / "rows.json"), "rows.json"); }

Columns names_in(const json& row) {
  Columns names;
  for (const auto& column : row.items()) names.push_back(column.key());
  return names;
}

/// Numbers that JSON has none for come from the fixture as what Python wrote.
bool is_same(const json& value, const json& expected) {
  if (!expected.is_binary()) return value == expected && value.is_number_float() == expected.is_number_float();
  const double number = std::strtod(shown(expected).c_str(), nullptr);
  const auto found = value.get<double>();
  return std::isnan(number) ? std::isnan(found) : found == number;
}

TEST_F(ParquetRows, HoldWhatPyarrowReads) {
  const auto expected = expected_rows();
  const auto columns = names_in(expected[0]);
  const auto rows = read_parquet_rows(folder / "rows.parquet", columns);
  ASSERT_EQ(rows.size(), expected.size());
  for (std::size_t i = 0; i < rows.size(); ++i) {
    EXPECT_EQ(names_in(rows[i]), columns);
    for (const auto& [column, value] : expected[i].items()) {
      EXPECT_TRUE(is_same(rows[i][column], value)) << column << " " << rows[i][column] << " " << shown(value);
    }
  }
}

TEST_F(ParquetRows, LeaveOutOtherColumnsAndWhatIsNeitherNumberNorText) {
  const auto rows = read_parquet_rows(folder / "rows.parquet", Columns{"words", "width", "box", "digest", "missing",
                                                                       "day", "price", "box.x", "key", "width"});
  ASSERT_EQ(rows.size(), 7U);
  for (const auto& row : rows) EXPECT_EQ(names_in(row), (Columns{"key", "width"}));
  EXPECT_EQ(rows[1]["width"], 65);
  EXPECT_EQ(rows[6]["key"], "000000006");
}

TEST_F(ParquetRows, AreFiltered) {
  const auto taken = [](const char* expression) {
    const RecordFilter filter(expression);
    auto columns = filter.fields();
    columns.emplace_back("key");
    std::string keys;
    for (const auto& row : read_parquet_rows(folder / "rows.parquet", columns)) {
      if (filter.takes(row)) keys += row["key"].get<std::string>().back();
    }
    return keys;
  };
  EXPECT_EQ(taken("similarity >= 0.3"), "056");
  EXPECT_EQ(taken("similarity > 0.3 or NSFW = 'UNSURE'"), "456");
  EXPECT_EQ(taken("hash > 9223372036854775808 or width in (9007199254740993, 9223372036854775807)"), "123");
  EXPECT_EQ(taken("watermark = true"), "046");
  EXPECT_EQ(taken("unfit is null"), "04");
  EXPECT_EQ(taken("words is null and nothing is null and similarity is not null"), "013456");
}

TEST_F(ParquetRows, AreReadBySeveralThreads) {
  std::vector<std::jthread> threads;
  std::vector<std::size_t> counts(4);
  for (auto& count : counts) {
    threads.emplace_back([&count] { count = read_parquet_rows(folder / "rows.parquet", Columns{"NSFW"}).size(); });
  }
  threads.clear();
  EXPECT_EQ(counts, std::vector<std::size_t>(4, 7));
}

TEST_F(ParquetRows, SayWhatIsWrong) {
  const auto file = folder / "twice.parquet";
  EXPECT_EQ(read_parquet_rows(file, Columns{"key"}).size(), 1U);
  EXPECT_EQ(error_reading(file, {"key", "twice"}), file.string() + ": expected one column \"twice\", found 2");
  EXPECT_EQ(error_reading(file, {"width", "height"}),
            file.string() +
                ": expected one of the columns [\"width\", \"height\"] with numbers, text or true and false, "
                "found [\"key\", \"twice\", \"twice\"]");
  const auto missing = folder_ / "missing.parquet";
  EXPECT_HAS(error_reading(missing, {"key"}), missing.string() + ": ");
  for (const auto* contents : {"", "PAR1", "not parquet at all", "PAR1\xff\xff\xff\xffPAR1"}) {
    const auto damaged = write("damaged.parquet", contents);
    EXPECT_TRUE(error_reading(damaged, {"key"}).starts_with(damaged + ": ")) << error_reading(damaged, {"key"});
  }
}

TEST_F(ParquetRows, OfDamagedFilesAreReadOrRefused) {
  const auto whole = read_text(folder / "rows.parquet");
  const auto columns = names_in(expected_rows()[0]);
  int refused = 0;
  for (std::size_t place = 0; place < whole.size(); place += 41) {
    auto text = whole;
    text[place] = static_cast<char>(text[place] ^ 0x55);
    const auto path = write("damaged.parquet", text);
    const auto error = error_reading(path, columns);
    if (error == "nothing was thrown") continue;
    EXPECT_TRUE(error.starts_with(path + ": ")) << error;
    ++refused;
    const auto cut = write("cut.parquet", std::string_view(whole).substr(0, place));
    EXPECT_TRUE(error_reading(cut, columns).starts_with(cut + ": "));
  }
  EXPECT_GT(refused, 50);
}

#else

TEST_F(ParquetRows, NeedAModule) {
  const auto file = folder / "rows.parquet";
  EXPECT_HAS(error_reading(file, {"key"}), file.string() + ": parquet files need a vlalign built where Arrow");
}

#endif

}  // namespace
}  // namespace vlalign::test::parquet_rows_test
