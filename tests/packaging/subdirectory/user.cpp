#include <vlalign/core/normalize.hpp>
