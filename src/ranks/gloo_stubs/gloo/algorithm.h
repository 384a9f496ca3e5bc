// LibTorch exports Gloo but its wheel has none of Gloo's headers, and those of other versions describe other classes.
// These declare the names that c10d's header mentions, and nothing that is called here. Internal.
#pragma once
