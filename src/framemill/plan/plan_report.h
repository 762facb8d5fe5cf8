#pragma once

#include <string>

#include "framemill/plan/capacity.h"

namespace framemill {

/// The GPU resource list in four forms; the same plan gives the same bytes. `version` is that of
/// framemill. Each needs a plan with at least one usable candidate.

/// For a terminal.
[[nodiscard]] std::string format_plan_table(const Plan& plan);
/// For a requirements document: headings, tables, every figure with its origin.
[[nodiscard]] std::string format_plan_markdown(const Plan& plan, const std::string& version);
/// One document, schema "framemill.plan/1", indented, newline at the end; null where a figure is
/// not known.
[[nodiscard]] std::string format_plan_json(const Plan& plan, const std::string& version);
/// A line of names, then one line for each model on each layout of each candidate; candidates that
/// cannot be used have one line with the reason. RFC 4180, without carriage returns.
[[nodiscard]] std::string format_plan_csv(const Plan& plan);

/// What the catalogue knows, for a terminal.
[[nodiscard]] std::string format_catalogue(const Catalogue& catalogue);

}  // namespace framemill
