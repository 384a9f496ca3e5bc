// Sums of products of bytes, for a few rows and 32 columns. Internal.
#pragma once

#include <cstdint>

namespace vlalign {

constexpr std::int64_t int8_panel_columns = 32, int8_group = 4;

/// What a kernel needs for a block of rows and one panel.
struct Int8Tile {
  const std::int8_t* x;  ///< rows of codes, K apart
  std::int64_t k;
  const std::int8_t* panel;   ///< [K / 4, 32, 4]
  const std::int32_t* first;  ///< 32 numbers that the sums begin with
  std::int32_t* sums;         ///< [rows, 32]
  const std::int8_t* next;    ///< the panel to fetch meanwhile
};

/// A way to sum, as one processor has it.
struct Int8Kernel {
  std::int64_t most_rows;
  int shift;                                             ///< of x's codes: 128 where they have no sign
  void (*sum)(const Int8Tile& tile, std::int64_t rows);  ///< rows: 1 to most_rows
  bool in_hardware;                                      ///< whether it multiplies bytes in one instruction
};

/// The fastest that this processor has.
const Int8Kernel& int8_kernel();

/// The plain one, which the others equal; for tests and for processors that have none.
const Int8Kernel& plain_int8_kernel();

}  // namespace vlalign
