// The run as a whole: health, readiness, metrics, models, plan.

#include <algorithm>
#include <utility>

#include <nlohmann/json.hpp>

#include "framemill/engine/run_summary.h"
#include "framemill/server/api.h"
#include "framemill/server/api_error.h"
#include "framemill/server/api_json.h"
#include "framemill/server/openapi_text.h"

namespace framemill {
namespace {

using Json = nlohmann::ordered_json;

}  // namespace

HttpResponse Api::get_health(const Call& /*call*/) {
  return json_response("{\"status\":\"ok\"}\n");
}

HttpResponse Api::get_readiness(const Call& call) {
  bool is_ready = false;
  std::vector<std::string> reasons;
  const std::shared_ptr<const RunFigures> figures = parts_.meter.figures();
  if (call.engine == nullptr || figures == nullptr) {
    reasons.emplace_back("the models are being loaded");
  } else {
    const RunReport& report = figures->report;
    const bool has_device = std::ranges::any_of(report.devices, &DeviceReport::is_serving);
    is_ready = has_device && !report.is_stopped_early;
    reasons = troubles_of(report);
  }
  const Json body{{"ready", is_ready}, {"degraded", !reasons.empty()}, {"reasons", reasons}};
  return json_response(dump(body) + "\n", is_ready ? 200 : 503);
}

HttpResponse Api::get_metrics(const Call& /*call*/) {
  const std::shared_ptr<const RunFigures> figures = parts_.meter.figures();
  return {.content_type = "text/plain; version=0.0.4; charset=utf-8",
          .body = std::make_shared<const std::string>(
              metrics_page(figures->report, *figures, parts_.alarms, parts_.figures()))};
}

HttpResponse Api::get_openapi(const Call& /*call*/) {
  static const auto kText = std::make_shared<const std::string>(openapi_text());
  return {.content_type = "application/yaml", .body = kText};
}

HttpResponse Api::get_whoami(const Call& call) {
  if (!call.request.authorization.empty() && call.who.role == Role::kNone) {
    return error_response(401, "unauthorized",
                          {"the token is not known", "Authorization", "check the token"});
  }
  return json_response(dump({{"name", call.who.name},
                             {"role", to_string(call.who.role)},
                             {"is_token_needed", parts_.access.is_token_needed()}}));
}

HttpResponse Api::get_run(const Call& /*call*/) {
  Json json = run_json(*parts_.meter.figures());
  json["config_path"] = parts_.config_name.empty() ? Json(nullptr) : Json(parts_.config_name);
  return json_response(dump(json));
}

HttpResponse Api::get_summary(const Call& call) {
  return json_response(to_summary_json(call.engine->report()));
}

HttpResponse Api::get_plan(const Call& /*call*/) {
  return json_response(dump(plan_json(*parts_.meter.figures())));
}

HttpResponse Api::get_models(const Call& call) {
  const std::shared_ptr<const RunFigures> figures = parts_.meter.figures();
  const std::vector<std::shared_ptr<const Detector>> detectors = call.engine->models();
  Json models = Json::array();
  for (std::size_t i = 0; i < figures->report.models.size(); ++i) {
    const ModelFacts& facts = figures->report.models[i];
    Json rungs = Json::array();
    if (i < figures->report.ladders.size())
      for (const std::string& rung : figures->report.ladders[i]) rungs.push_back(rung);
    models.push_back({{"model", figures->report.model_names[i]},
                      {"variant", facts.name},
                      {"hash", facts.hash},
                      {"precision", facts.precision},
                      {"runtime", facts.runtime},
                      {"device", facts.device},
                      {"device_name", facts.device_name},
                      {"labels", detectors[i]->labels()},
                      {"input_width", facts.input ? Json(facts.input->width) : Json(nullptr)},
                      {"input_height", facts.input ? Json(facts.input->height) : Json(nullptr)},
                      {"rungs", std::move(rungs)}});
  }
  return json_response(dump({{"models", std::move(models)}}));
}

}  // namespace framemill
