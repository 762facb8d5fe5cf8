#pragma once

#include <optional>
#include <string>
#include <vector>

#include <nlohmann/json_fwd.hpp>

#include "framemill/engine/engine.h"

/// Parts of a report as JSON (design section 4): what the summary and the HTTP API have in common.
/// Pure; any thread.

namespace framemill {

/// Three decimals are plenty for ms and s, and keep texts readable.
[[nodiscard]] double rounded(double value);

/// Count, p50, p95, p99 and max in ms; null without samples.
[[nodiscard]] nlohmann::ordered_json latency_json(const LatencyHistogram& latency);
[[nodiscard]] nlohmann::ordered_json counts_json(const CameraCounts& counts);
/// Null where there is no figure; its value is null where it is not known, and `reason` says why.
[[nodiscard]] nlohmann::ordered_json fidelity_json(const std::optional<FidelityFigure>& figure);
/// Null where no fidelity is to be held.
[[nodiscard]] nlohmann::ordered_json target_json(const std::optional<FidelityTargetReport>& target);
/// Null for a sink without a spool, or one that nothing went through.
[[nodiscard]] nlohmann::ordered_json spool_json(const SpoolCounts& spool);
[[nodiscard]] nlohmann::ordered_json source_json(const SourceCounts& source);
/// What is out alone on a device; `model_names` as in RunReport.
[[nodiscard]] nlohmann::ordered_json models_out_json(const std::vector<LaneOutReport>& lanes,
                                                     const std::vector<std::string>& model_names);

}  // namespace framemill
