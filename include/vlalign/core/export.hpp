#pragma once

/// Before a function or class that users of the shared library call: everything else stays inside it.
#define VLALIGN_EXPORT __attribute__((visibility("default")))

/// Before a class inside such a class that its users see the name of alone.
#define VLALIGN_HIDDEN __attribute__((visibility("hidden")))
