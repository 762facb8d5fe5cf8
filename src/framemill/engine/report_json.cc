#include "framemill/engine/report_json.h"

#include <cmath>
#include <string>

#include <nlohmann/json.hpp>

namespace framemill {

using Json = nlohmann::ordered_json;

/// Three decimals are plenty for ms and s, and keep the file readable.
double rounded(double value) { return std::round(value * 1e3) / 1e3; }

Json latency_json(const LatencyHistogram& latency) {
  if (latency.count() == 0) return nullptr;
  return {{"count", latency.count()},
          {"p50", rounded(to_ms(latency.percentile(0.50)))},
          {"p95", rounded(to_ms(latency.percentile(0.95)))},
          {"p99", rounded(to_ms(latency.percentile(0.99)))},
          {"max", rounded(to_ms(latency.max()))}};
}

Json counts_json(const CameraCounts& counts) {
  Json json;
  json["captured"] = counts.captured;
  json["sampled"] = counts.sampled();
  for (std::size_t i = 0; i < kOutcomeCount; ++i) {
    json[std::string(kOutcomeNames[i])] = counts.outcomes[i];
  }
  json["in_flight"] = counts.in_flight;
  json["conserved"] = counts.is_conserved();
  json["overdue"] = counts.overdue;
  json["latency_ms"] = {{"inferred", latency_json(counts.latency[0])},
                        {"propagated", latency_json(counts.latency[1])},
                        {"reused", latency_json(counts.latency[2])}};
  json["reorder_ms"] =
      counts.answered() == 0
          ? Json(nullptr)
          : Json(rounded(to_ms(counts.reorder_sum) / static_cast<double>(counts.answered())));
  for (std::size_t i = 0; i < kInferencePurposeNames.size(); ++i) {
    json["inferences"][std::string(kInferencePurposeNames[i])] = counts.inferences[i];
  }
  json["share_inferred"] = counts.sampled() == 0
                               ? Json(nullptr)
                               : Json(rounded(static_cast<double>(counts.outcomes[1]) /
                                              static_cast<double>(counts.sampled())));
  // Audits come with the adaptive policy: nothing is measured, so nothing is claimed.
  json["motion_s"] = rounded(to_seconds(counts.motion_cpu));
  json["audits"] = counts.inferences[static_cast<std::size_t>(InferencePurpose::kAudit)];
  return json;
}

/// Null where there is no figure; `reason` then says why.
Json fidelity_json(const std::optional<FidelityFigure>& figure) {
  if (!figure) return nullptr;
  Json json{{"value", nullptr}, {"low", nullptr}, {"high", nullptr}, {"audits", figure->audits}};
  switch (figure->state) {
    case FidelityState::kKnown:
      json["value"] = rounded(figure->value);
      json["low"] = rounded(figure->low);
      json["high"] = rounded(figure->high);
      json["recall"] = rounded(figure->recall);
      json["sure_precision"] = rounded(figure->sure_precision);
      json["of_group"] = figure->is_of_group;
      break;
    case FidelityState::kNoFrames:
      json["reason"] = "no frames";
      break;
    case FidelityState::kNoAudits:
      json["reason"] = "no audits";
      break;
    case FidelityState::kAuditsLost:
      json["reason"] = "audits lost";
      break;
  }
  return json;
}

/// Null where no fidelity is to be held.
Json target_json(const std::optional<FidelityTargetReport>& target) {
  if (!target) return nullptr;
  const char* status = "too_few_audits";
  switch (target->state) {
    case FidelityController::State::kLearning:
      break;
    case FidelityController::State::kHolding:
      status = target->figure.high < target->target ? "not_yet" : "held";
      break;
    case FidelityController::State::kOverBudget:
      status = "budget_too_small";
      break;
    case FidelityController::State::kNoCapacity:
      status = "no_capacity";
      break;
    case FidelityController::State::kAuditsLost:
      status = "audits_lost";
      break;
  }
  return {{"target", target->target},
          {"status", status},
          {"share", rounded(target->share)},
          {"share_wanted", rounded(target->share_wanted)},
          {"explanation", target->explanation}};
}

Json spool_json(const SpoolCounts& spool) {
  if (spool.waiting + spool.delivered + spool.dropped + spool.retries == 0) return nullptr;
  Json json{{"waiting", spool.waiting},
            {"waiting_bytes", spool.waiting_bytes},
            {"delivered", spool.delivered},
            {"dropped", spool.dropped},
            {"retries", spool.retries}};
  if (!spool.last_error.empty()) json["error"] = spool.last_error;
  return json;
}

Json source_json(const SourceCounts& source) {
  return {{"packets", source.packets},
          {"packets_skipped", source.packets_skipped},
          {"frames_decoded", source.frames_decoded},
          {"decode_errors", source.decode_errors},
          {"decode_cpu_s", rounded(to_seconds(source.decode_cpu))}};
}

Json models_out_json(const std::vector<LaneOutReport>& lanes,
                     const std::vector<std::string>& model_names) {
  Json json = Json::array();
  for (const LaneOutReport& lane : lanes) {
    json.push_back({{"model", model_names[lane.model]},
                    {"variant", lane.variant},
                    {"out_s", rounded(to_seconds(lane.out_for))},
                    {"stands_in", lane.is_elsewhere},
                    {"last_error", lane.last_error}});
  }
  return json;
}

}  // namespace framemill
