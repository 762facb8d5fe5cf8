#include <cmath>

#include <nlohmann/json.hpp>

#include "framemill/cli/eval_report.h"

namespace framemill {
namespace {

using Json = nlohmann::ordered_json;

/// Six digits are more than the pictures can tell, and keep the bytes free of rounding noise.
Json number(double value) {
  if (!std::isfinite(value)) return nullptr;
  return std::round(value * 1e6) / 1e6;
}
Json number(const std::optional<double>& value) { return value ? number(*value) : Json(nullptr); }

Json interval_json(const std::optional<Interval>& interval) {
  if (!interval) return nullptr;
  return {number(interval->low), number(interval->high)};
}

Json figures_json(const ApFigures& figures) {
  return {{"ap", number(figures.ap)},
          {"ap50", number(figures.ap50)},
          {"ap75", number(figures.ap75)},
          {"recall_max", number(figures.recall)}};
}

Json operating_json(const OperatingFigures& figures) {
  return {{"recall", number(figures.recall())},
          {"precision", number(figures.precision())},
          {"found", figures.found},
          {"wanted", figures.wanted},
          {"given", figures.given}};
}

Json classes_json(const ModelQuality& quality, const std::vector<std::string>& labels) {
  Json list = Json::array();
  std::size_t at = 0;
  for (const ClassOperating& each : quality.operating.classes) {
    Json entry = {{"class", each.class_id},
                  {"label", labels[static_cast<std::size_t>(each.class_id)]},
                  {"objects", each.figures.wanted}};
    ApFigures figures;  // none for a class without objects
    if (at < quality.ap.classes.size() && quality.ap.classes[at].class_id == each.class_id)
      figures = quality.ap.classes[at++].figures;
    entry.update(figures_json(figures));
    entry.update(operating_json(each.figures));
    list.push_back(std::move(entry));
  }
  return list;
}

Json quality_json(const std::optional<ModelQuality>& quality,
                  const std::vector<std::string>& labels) {
  if (!quality) return nullptr;
  Json json = figures_json(quality->ap.by_size[0]);
  json["ap_interval"] = interval_json(quality->ap_interval);
  json["small_ap_interval"] = interval_json(quality->small_ap_interval);
  json["objects"] = quality->ap.objects[0];
  json["operating"] = operating_json(quality->operating.by_size[0]);
  json["operating"]["score"] = number(quality->operating.score);
  json["best_score"] = nullptr;
  if (const auto& best = quality->best)
    json["best_score"] = {{"score", number(best->score)},
                          {"recall", number(best->recall)},
                          {"precision", number(best->precision)},
                          {"f1", number(best->f1)}};
  for (std::size_t range = 1; range < kSizeRanges; ++range) {
    Json entry = {{"objects", quality->ap.objects[range]}};
    entry.update(figures_json(quality->ap.by_size[range]));
    const OperatingFigures& at_score = quality->operating.by_size[range];
    entry["recall"] = number(at_score.recall());
    json["by_size"][std::string(kSizeRangeNames[range])] = std::move(entry);
  }
  json["classes"] = classes_json(*quality, labels);
  return json;
}

Json loss_json(const std::optional<Loss>& loss) {
  if (!loss) return nullptr;
  return {{"value", number(loss->value)}, {"interval", interval_json(loss->interval)}};
}

Json ap_loss_json(const std::optional<ApLoss>& loss, const std::vector<std::string>& labels) {
  if (!loss) return nullptr;
  Json json;
  for (std::size_t range = 0; range < kSizeRanges; ++range)
    json[std::string(kSizeRangeNames[range])] = loss_json(loss->by_size[range]);
  json["resamples"] = loss->resamples;
  json["classes"] = Json::array();
  for (const auto& [class_id, value] : loss->by_class)
    json["classes"].push_back({{"class", class_id},
                               {"label", labels[static_cast<std::size_t>(class_id)]},
                               {"value", number(value)}});
  return json;
}

Json counts_json(const AgreementCounts& counts, double agreement) {
  const auto of = [](double value, std::int64_t whole) {
    return whole > 0 ? number(value) : Json(nullptr);
  };
  return {{"agreement", of(agreement, sure_detections(counts))},
          {"recall", of(counts.recall(), counts.wanted)},
          {"sure_precision", of(counts.sure_precision(), counts.sure_given)},
          {"found", counts.found},
          {"wanted", counts.wanted},
          {"sure_right", counts.sure_right},
          {"sure_given", counts.sure_given}};
}

Json agreement_json(const std::optional<AgreementReport>& report,
                    const std::vector<std::string>& labels) {
  if (!report) return nullptr;
  Json json = counts_json(report->counts, report->agreement());
  json["interval"] = interval_json(report->interval);
  json["precision"] = number(report->counts.precision());
  json["pairs"] = report->pairs;
  json["score_shift"] = number(report->score_shift);
  json["score_shift_abs"] = number(report->score_shift_abs);
  json["mean_iou"] = number(report->mean_iou);
  json["low_iou"] = number(report->low_iou);
  for (std::size_t range = 1; range < kSizeRanges; ++range) {
    const PartAgreement& part = report->by_size[range];
    json["by_size"][std::string(kSizeRangeNames[range])] =
        counts_json(part.counts, part.agreement());
  }
  json["classes"] = Json::array();
  for (std::size_t id = 0; id < report->by_class.size(); ++id) {
    const PartAgreement& part = report->by_class[id];
    if (part.counts.wanted == 0 && part.counts.sure_given == 0) continue;
    Json entry = {{"class", id}, {"label", labels[id]}};
    entry.update(counts_json(part.counts, part.agreement()));
    json["classes"].push_back(std::move(entry));
  }
  return json;
}

Json model_json(const EvaluatedModel& model, const char* role) {
  const ModelFacts& facts = model.facts;
  Json json = {{"role", role},
               {"variant", facts.name},
               {"path", facts.path},
               {"hash", facts.hash},
               {"precision", facts.precision},
               {"width", model.input.width},
               {"height", model.input.height},
               {"runtime", facts.runtime},
               {"device", facts.device},
               {"device_name", facts.device_name}};
  json["speed"] = nullptr;
  if (model.speed.in_flight > 0)
    json["speed"] = {{"median_ms", number(model.speed.median_ms)},
                     {"p95_ms", number(model.speed.p95_ms)},
                     {"pictures_per_second", number(model.speed.pictures_per_second)},
                     {"in_flight", model.speed.in_flight}};
  return json;
}

Json violation_json(const Violation& violation) {
  return {{"condition", violation.condition},
          {"what", violation.what},
          {"part", violation.part.empty() ? Json(nullptr) : Json(violation.part)},
          {"value", number(violation.value)},
          {"limit", number(violation.limit)},
          {"interval", interval_json(violation.interval)},
          {"message", violation.words()}};
}

Json settings_json(const EvalReport& report) {
  const EvaluationOptions& options = report.context.options;
  const AgreementThresholds thresholds;
  return {{"score", number(report.evaluation.score)},
          {"classes", options.classes},
          {"resamples", options.resamples},
          {"seed", options.seed},
          {"limits",
           {{"ap_loss", number(options.limits.ap_loss)},
            {"small_ap_loss", number(options.limits.small_ap_loss)},
            {"agreement", number(options.limits.agreement)},
            {"part_agreement", number(options.limits.part_agreement)},
            {"part_least", options.limits.part_least},
            {"sure_least", options.limits.sure_least}}},
          {"score_sure", number(static_cast<double>(thresholds.hi))},
          {"score_given", number(static_cast<double>(thresholds.lo))},
          {"score_confirms", number(static_cast<double>(thresholds.base))},
          {"iou", number(thresholds.iou)}};
}

}  // namespace

std::string to_eval_json(const EvalReport& report) {
  const EvalContext& context = report.context;
  const Evaluation& evaluation = report.evaluation;
  Json json;
  json["schema"] = "framemill.eval/1";
  json["framemill"] = context.version;
  json["command"] = context.command;
  json["made_at"] = context.made_at.empty() ? Json(nullptr) : Json(context.made_at);
  json["environment"] = {{"cpu", context.environment.cpu_model},
                         {"cpu_count", context.environment.cpu_count},
                         {"memory_bytes", context.environment.memory_bytes},
                         {"kernel", context.environment.kernel}};
  json["models"] = Json::array();
  if (context.model) json["models"].push_back(model_json(*context.model, "model"));
  if (context.reference) json["models"].push_back(model_json(*context.reference, "reference"));
  json["results"] = context.results_path.empty() ? Json(nullptr) : Json(context.results_path);
  json["data"] = {{"path", context.data_path},
                  {"format", to_string(context.format)},
                  {"labels", context.labels_at.empty() ? Json(nullptr) : Json(context.labels_at)},
                  {"split", context.split.empty() ? Json(nullptr) : Json(context.split)},
                  {"pictures", evaluation.pictures.size()},
                  {"broken", evaluation.broken},
                  {"objects", evaluation.objects}};
  json["settings"] = settings_json(report);
  json["conditions"] = Json::array();
  for (const ConditionReport& each : evaluation.conditions)
    json["conditions"].push_back(
        {{"condition", each.name},
         {"model", quality_json(each.model, evaluation.labels)},
         {"reference", quality_json(each.reference, evaluation.labels)},
         {"ap_loss", ap_loss_json(each.loss, evaluation.labels)},
         {"agreement", agreement_json(each.agreement, evaluation.labels)}});
  json["verdict"] = nullptr;
  if (evaluation.verdict) json["verdict"] = to_string(*evaluation.verdict);
  json["compared"] = evaluation.verdict ? Json(evaluation.compared) : Json(nullptr);
  json["violations"] = Json::array();
  for (const Violation& each : evaluation.violations)
    json["violations"].push_back(violation_json(each));
  json["worst_pictures"] = Json::array();
  for (const WorstPicture& each : evaluation.worst)
    json["worst_pictures"].push_back({{"picture", evaluation.pictures[each.picture].name},
                                      {"condition", each.condition},
                                      {"badness", number(each.badness)},
                                      {"missed", each.missed},
                                      {"unconfirmed", each.unconfirmed}});
  json["notes"] = evaluation.notes;
  json["problems"] = evaluation.problems;
  return json.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

}  // namespace framemill
