#pragma once

#include <string>

#include "framemill/cli/compare_report.h"

namespace framemill {

/// `comparison` as one HTML page for people who decide: what is saved at what cost, curves, tables,
/// the worst misses with the boxes of both sides, how to read it, limits, how it was made. The page
/// holds all it needs (styles, script, pictures as data URIs) and forbids itself the network;
/// light and dark, from phone to desk; readable without script, which only adds tooltips, the
/// choice of the run in the table of clips, and sorting. Every text is escaped. The same
/// comparison gives the same bytes.
[[nodiscard]] std::string to_compare_page(const Comparison& comparison);

}  // namespace framemill
