// A user without CMake: the library that is linked is the one whose headers were read.
#include <cstring>
#include <vlalign/core/normalize.hpp>
#include <vlalign/core/version.hpp>

int main() { return std::strcmp(vlalign::version(), VLALIGN_VERSION); }
