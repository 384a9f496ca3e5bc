// The rows of the operator table, by subject: a file each. Internal.
#pragma once

#include "export/conversion.hpp"

namespace vlalign::onnx::rows {

// operators_arithmetic.cpp
void same(Conversion& c);     ///< the first argument, in the result's type
void unary(Conversion& c);    ///< the row's operation on one argument
void binary(Conversion& c);   ///< on two of the result's type
void compare(Conversion& c);  ///< on two of a common type
void add(Conversion& c);
void subtract(Conversion& c);
void subtract_reversed(Conversion& c);
void divide(Conversion& c);
void add_elementwise_product(Conversion& c);
void square(Conversion& c);
void reciprocal_root(Conversion& c);
void exponential_minus_one(Conversion& c);
void clamp(Conversion& c);
void not_a_number_to(Conversion& c);
void not_equal(Conversion& c);
void logical(Conversion& c);  ///< on two booleans
void logical_not(Conversion& c);
void where(Conversion& c);
void masked_fill(Conversion& c);
void gelu(Conversion& c);
void silu(Conversion& c);
void leaky_relu(Conversion& c);

// operators_shapes.cpp
void reshape(Conversion& c);
void transpose(Conversion& c);
void matrix_transpose(Conversion& c);
void permute(Conversion& c);
void expand(Conversion& c);
void dropout(Conversion& c);  ///< in evaluation
void repeat(Conversion& c);
void repeat_interleave(Conversion& c);
void concatenate(Conversion& c);
void stack(Conversion& c);
void split(Conversion& c);
void unbind(Conversion& c);
void narrow(Conversion& c);
void slice(Conversion& c);
void select(Conversion& c);
void triangle(Conversion& c);
void pad(Conversion& c);
void zeros(Conversion& c);
void ones(Conversion& c);
void full(Conversion& c);
void arange(Conversion& c);

// operators_products.cpp
void linear(Conversion& c);
void matrix_product(Conversion& c);
void add_product(Conversion& c);
void attention(Conversion& c);

// operators_quantized.cpp
void quantize_numbers(Conversion& c);
void quantize_weight(Conversion& c);

// operators_reductions.cpp
void sum(Conversion& c);
void reduce(Conversion& c);   ///< the row's operation over the dimensions of argument 2
void extreme(Conversion& c);  ///< of all numbers, or along a dimension with their places
void argmax(Conversion& c);
void any_or_all(Conversion& c);
void norm(Conversion& c);
void cumulative_sum(Conversion& c);
void softmax(Conversion& c);
void layer_norm(Conversion& c);
void group_norm(Conversion& c);
void batch_norm(Conversion& c);

// operators_indexing.cpp
void embedding(Conversion& c);
void index_select(Conversion& c);
void gather(Conversion& c);
void index(Conversion& c);
void index_fill(Conversion& c);

// operators_pictures.cpp
void convolution(Conversion& c);
void resize(Conversion& c);
void resize_antialiased(Conversion& c);
void average_pool(Conversion& c);
void adaptive_average_pool(Conversion& c);
void max_pool(Conversion& c);

}  // namespace vlalign::onnx::rows
