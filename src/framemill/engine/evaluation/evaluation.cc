#include "framemill/engine/evaluation/evaluation.h"

#include <algorithm>
#include <cmath>
#include <tuple>
#include <unordered_map>
#include <utility>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "framemill/base/check.h"
#include "framemill/engine/evaluation/class_map.h"
#include "framemill/engine/evaluation/coco_labels.h"
#include "framemill/engine/evaluation/data_set_files.h"
#include "framemill/engine/evaluation/worst_pictures.h"
#include "framemill/infer/labels.h"
#include "framemill/vision/picture_file.h"

namespace framemill {
namespace {

using Pictures = std::vector<std::vector<Detection>>;

int mapped(const std::vector<int>& map, int class_id) {
  const auto id = static_cast<std::size_t>(class_id);
  return class_id >= 0 && id < map.size() ? map[id] : -1;
}

/// Those of the classes that `is_wanted`, in the model's numbers.
template <typename Found>
std::vector<Found> select(const std::vector<Found>& detections, const std::vector<int>* map,
                          const std::vector<bool>& is_wanted) {
  std::vector<Found> kept;
  for (Found each : detections) {
    if (map != nullptr) each.class_id = mapped(*map, each.class_id);
    const auto id = static_cast<std::size_t>(each.class_id);
    if (each.class_id >= 0 && id < is_wanted.size() && is_wanted[id]) kept.push_back(each);
  }
  return kept;
}

template <typename Found>
std::vector<std::vector<Found>> select_all(const std::vector<std::vector<Found>>& pictures,
                                           const std::vector<int>* map,
                                           const std::vector<bool>& is_wanted) {
  std::vector<std::vector<Found>> kept;
  for (const std::vector<Found>& each : pictures) kept.push_back(select(each, map, is_wanted));
  return kept;
}

std::vector<LabelledObject> select_objects(const std::vector<LabelledObject>& objects,
                                           const ClassPlan& plan) {
  std::vector<LabelledObject> kept;
  for (LabelledObject each : objects) {
    each.class_id = mapped(plan.data_to_model, each.class_id);
    if (each.class_id >= 0) kept.push_back(each);
  }
  return kept;
}

ModelQuality judge(const MatchTable& table, const ApResamples& resamples, double score) {
  const auto interval = [](const std::vector<std::optional<double>>& resampled) {
    std::vector<double> values;
    for (const std::optional<double>& each : resampled)
      if (each) values.push_back(*each);
    return middle_95(std::move(values));
  };
  return {.ap = average_precision(table),
          .ap_interval = interval(resamples.all),
          .small_ap_interval = interval(resamples.small),
          .operating = operating_report(table, score),
          .best = best_score(table)};
}

/// Turns what models found into reports, one condition after the other.
class Judge {
 public:
  Judge(const ClassPlan& plan, const EvaluationOptions& options, bool is_labelled)
      : plan_(plan), options_(options), is_labelled_(is_labelled) {}

  /// `models`: the model's detections, and those of a reference where there is one.
  ConditionReport report(std::string name, const std::vector<SeenPicture>& pictures,
                         const std::vector<Pictures>& models, double score) const {
    ConditionReport report{.name = std::move(name)};
    ApResamples resamples[2];
    for (std::size_t i = 0; is_labelled_ && i < models.size(); ++i) {
      const MatchTable table = match(pictures, models[i], i > 0);
      resamples[i] = resample_quality(table, options_.resamples, options_.seed);
      (i == 0 ? report.model : report.reference) = judge(table, resamples[i], score);
    }
    if (models.size() < 2) return report;
    if (is_labelled_)
      report.loss = compare_ap(report.reference->ap, resamples[1], report.model->ap, resamples[0]);
    report.agreement =
        compare_detections(select_all(models[1], &plan_.reference_to_model, plan_.is_compared),
                           select_all(models[0], nullptr, plan_.is_compared), plan_.labels.size());
    report.agreement->interval =
        resample_agreement(report.agreement->by_picture, options_.resamples, options_.seed);
    return report;
  }

  /// The same for detections made elsewhere.
  ConditionReport report(std::string name, const std::vector<SeenPicture>& pictures,
                         const std::vector<std::vector<ExactDetection>>& found,
                         double score) const {
    const MatchTable table = match(pictures, found, false);
    return {
        .name = std::move(name),
        .model = judge(table, resample_quality(table, options_.resamples, options_.seed), score)};
  }

 private:
  template <typename Found>
  [[nodiscard]] MatchTable match(const std::vector<SeenPicture>& pictures, const Found& found,
                                 bool is_reference) const {
    std::vector<std::vector<LabelledObject>> objects;
    for (const SeenPicture& each : pictures) objects.push_back(each.objects);
    return match_pictures(
        objects,
        select_all(found, is_reference ? &plan_.reference_to_model : nullptr, plan_.is_judged),
        plan_.labels.size());
  }

  const ClassPlan& plan_;
  const EvaluationOptions& options_;
  const bool is_labelled_;
};

Result<std::vector<bool>> chosen_classes(const std::vector<std::string>& names,
                                         const std::vector<std::string>& labels) {
  std::vector<bool> is_chosen(labels.size(), names.empty());
  for (const std::string& name : names) {
    const auto found = std::ranges::find_if(
        labels, [&](const std::string& label) { return is_same_class(label, name); });
    if (found == labels.end())
      return fail(ErrorCode::kInvalidArgument,
                  fmt::format("--classes: the model has no class \"{}\"", name));
    is_chosen[static_cast<std::size_t>(found - labels.begin())] = true;
  }
  return is_chosen;
}

/// Those of the classes that `is_chosen` to which nothing of `map` goes.
std::vector<std::string> chosen_without(const std::vector<bool>& is_chosen,
                                        const std::vector<std::string>& labels,
                                        const std::vector<int>& map) {
  std::vector<std::string> missing;
  for (std::size_t id = 0; id < labels.size(); ++id) {
    if (is_chosen[id] && std::ranges::find(map, static_cast<int>(id)) == map.end())
      missing.push_back(labels[id]);
  }
  return missing;
}

/// Errors: kInvalidArgument where the data set has none of the chosen classes; a note names those
/// that it lacks where it has others.
Result<void> check_chosen(const DataSet& data, const std::vector<std::string>& classes,
                          const std::vector<bool>& is_chosen, ClassPlan& plan) {
  const std::vector<std::string> missing =
      chosen_without(is_chosen, plan.labels, plan.data_to_model);
  if (missing.empty()) return {};
  if (missing.size() < classes.size()) {
    plan.notes.push_back(fmt::format("the data set has no class {}", list_names(missing)));
    return {};
  }
  return fail(ErrorCode::kInvalidArgument,
              fmt::format("--classes: the data set has no class {}; it has {}", list_names(missing),
                          list_names(data.class_names)));
}

Failure no_objects(const DataSet& data, std::size_t pictures) {
  return fail(ErrorCode::kInvalidArgument,
              fmt::format("{}: none of its {} pictures has an object that is looked at, so there "
                          "is no average precision; --format none with --against compares two "
                          "models without labels",
                          data.path, pictures));
}

bool has_objects(const DataSet& data, const ClassPlan& plan) {
  return std::ranges::any_of(data.pictures, [&plan](const LabelledPicture& picture) {
    return std::ranges::any_of(picture.objects, [&plan](const LabelledObject& object) {
      return mapped(plan.data_to_model, object.class_id) >= 0;
    });
  });
}

void count_objects(Evaluation& evaluation) {
  for (const SeenPicture& each : evaluation.pictures)
    evaluation.objects += static_cast<std::int64_t>(each.objects.size());
}

/// See Evaluation::compared.
std::int64_t count_compared(const ConditionReport& clean) {
  const std::int64_t sure = sure_detections(clean.agreement->counts);
  return clean.reference ? std::max(sure, clean.reference->operating.by_size[0].found) : sure;
}

bool has_violation(const Evaluation& evaluation, const std::string& condition,
                   std::string_view what) {
  return std::ranges::any_of(evaluation.violations, [&](const Violation& each) {
    return each.condition == condition && each.what == what;
  });
}

/// The AP losses above their limits that too few objects were behind to count, for a person.
std::string losses_of_few(const Evaluation& evaluation, const ConsistencyLimits& limits) {
  std::string few;
  for (const ConditionReport& each : evaluation.conditions) {
    for (const auto& [range, what, limit] :
         {std::tuple(SizeRange::kAll, "ap_loss", limits.ap_loss),
          std::tuple(SizeRange::kSmall, "small_ap_loss", limits.small_ap_loss)}) {
      const auto place = static_cast<std::size_t>(range);
      if (!each.loss || !each.loss->by_size[place] || !(each.loss->by_size[place]->value > limit) ||
          has_violation(evaluation, each.name, what))
        continue;
      few += fmt::format("{}{}: {:+.4f} of {} {}objects", few.empty() ? "" : "; ", each.name,
                         each.loss->by_size[place]->value, each.loss->objects[place],
                         range == SizeRange::kSmall ? "small " : "");
    }
  }
  return few;
}

/// Sets what the violations and the number of detections say, with notes of what too few of them
/// were behind to tell.
void decide(Evaluation& evaluation, const ConsistencyLimits& limits) {
  evaluation.compared = count_compared(evaluation.conditions.front());
  const bool is_enough = evaluation.compared >= limits.sure_least;
  evaluation.verdict = !evaluation.violations.empty() ? Verdict::kNotConsistent
                       : is_enough                    ? Verdict::kConsistent
                                                      : Verdict::kNotShown;
  if (const std::string few = losses_of_few(evaluation, limits); !few.empty())
    evaluation.notes.push_back(
        fmt::format("AP losses above their limit do not count where fewer than {} objects are "
                    "behind them and the interval reaches below it: {}",
                    limits.sure_least, few));
  if (!is_enough) return;
  std::string few;
  for (const ConditionReport& each : evaluation.conditions) {
    const std::int64_t sure = sure_detections(each.agreement->counts);
    if (sure < limits.sure_least && !has_violation(evaluation, each.name, "agreement"))
      few += fmt::format("{}{} ({})", few.empty() ? "" : ", ", each.name, sure);
  }
  if (!few.empty())
    evaluation.notes.push_back(
        fmt::format("too few sure detections to tell agreement by: {}", few));
}

Failure nothing_to_hold_against(const DataSet& data) {
  return fail(ErrorCode::kInvalidArgument,
              fmt::format("{}: has no labels (YOLO .txt, COCO .json or VOC .xml); name a data set "
                          "that has, or another model by --against to compare two models without "
                          "labels",
                          data.path));
}

}  // namespace

Result<ClassPlan> plan_classes(const DataSet& data, const std::vector<std::string>& model_labels,
                               const std::string& model_name,
                               const std::vector<std::string>* reference_labels,
                               const std::string& reference_name,
                               const std::vector<std::string>& classes) {
  ClassPlan plan{.labels = model_labels};
  Result<std::vector<bool>> is_chosen = chosen_classes(classes, model_labels);
  if (!is_chosen) return fail(is_chosen.error());
  plan.is_compared = *is_chosen;
  plan.is_judged.assign(model_labels.size(), false);
  if (data.is_labelled()) {
    std::vector<bool> is_used = data.used_classes();
    if (!classes.empty()) std::fill(is_used.begin(), is_used.end(), false);
    Result<ClassMap> map =
        map_classes(data.class_names, is_used, "the data set", model_labels, model_name);
    if (!map) return fail(map.error());
    if (!map->note.empty()) plan.notes.push_back(map->note);
    plan.data_to_model = std::move(map->to_model);
    for (int& id : plan.data_to_model) {
      if (id >= 0 && !(*is_chosen)[static_cast<std::size_t>(id)]) id = -1;
      if (id >= 0) plan.is_judged[static_cast<std::size_t>(id)] = true;
    }
    if (!classes.empty()) {
      if (Result<void> done = check_chosen(data, classes, *is_chosen, plan); !done)
        return fail(done.error());
    }
    if (!has_objects(data, plan)) {
      if (reference_labels == nullptr) return no_objects(data, data.pictures.size());
      plan.notes.emplace_back(
          "no picture has a labelled object that is looked at, so agreement alone decides");
    }
    const auto unjudged = static_cast<std::size_t>(std::ranges::count(plan.is_judged, false));
    if (classes.empty() && unjudged > 0 && !has_no_names(model_labels))
      plan.notes.push_back(fmt::format(
          "{} of the {} classes of the model are none of the data set's; what it finds of them is "
          "not counted against the labels",
          unjudged, model_labels.size()));
  }
  if (reference_labels == nullptr) return plan;
  const std::vector<bool> all(reference_labels->size(), classes.empty());
  Result<ClassMap> map =
      map_classes(*reference_labels, all, reference_name, model_labels, model_name);
  if (!map) return fail(map.error());
  if (!map->note.empty()) plan.notes.push_back(map->note);
  plan.reference_to_model = std::move(map->to_model);
  const std::vector<std::string> missing =
      chosen_without(*is_chosen, model_labels, plan.reference_to_model);
  if (!classes.empty() && !missing.empty())
    return fail(ErrorCode::kInvalidArgument,
                fmt::format("--classes: {} has no class {}; it has {}", reference_name,
                            list_names(missing), list_names(*reference_labels)));
  return plan;
}

Result<Evaluation> evaluate(const DataSet& data, const std::shared_ptr<const Detector>& model,
                            const std::shared_ptr<const Detector>& reference,
                            PictureRunRequest request, const EvaluationOptions& options,
                            const Clock& clock, const PictureRunHooks& hooks) {
  CHECK(!request.conditions.empty() && request.conditions.front() == Degradation::kNone);
  if (!data.is_labelled() && !reference) return nothing_to_hold_against(data);
  const Result<ClassPlan> planned = plan_classes(
      data, model->labels(), model->facts().name, reference ? &reference->labels() : nullptr,
      reference ? reference->facts().name : "", options.classes);
  if (!planned) return fail(planned.error());
  const ClassPlan& plan = *planned;
  request.models = {model};
  if (reference) request.models.push_back(reference);
  Evaluation evaluation{.labels = plan.labels, .notes = data.notes};
  evaluation.notes.insert(evaluation.notes.end(), plan.notes.begin(), plan.notes.end());
  evaluation.score = options.score.value_or(static_cast<double>(model->score()));

  std::vector<std::string> names;
  for (const Degradation each : request.conditions) names.emplace_back(to_string(each));
  WorstPictures worst(names, options.worst_max);
  PictureRunHooks own = hooks;
  own.on_done = [&](const SeenPicture& seen, std::size_t picture, std::size_t condition,
                    const Picture& pixels, const Pictures& found) {
    if (reference) {
      worst.add_compared(picture, condition, pixels,
                         select(found[1], &plan.reference_to_model, plan.is_compared),
                         select(found[0], nullptr, plan.is_compared));
    } else {
      worst.add_labelled(picture, condition, pixels, select_objects(seen.objects, plan),
                         select(found[0], nullptr, plan.is_judged), evaluation.score);
    }
    if (hooks.on_done) hooks.on_done(seen, picture, condition, pixels, found);
  };
  Result<PictureRun> run = run_on_pictures(data, request, clock, own);
  if (!run) return fail(run.error());
  evaluation.pictures = std::move(run->pictures);
  for (SeenPicture& each : evaluation.pictures) each.objects = select_objects(each.objects, plan);
  count_objects(evaluation);
  if (data.is_labelled() && !reference && evaluation.objects == 0)
    return no_objects(data, evaluation.pictures.size());
  evaluation.broken = run->broken;
  evaluation.problems = std::move(run->problems);
  evaluation.worst = worst.take();

  const Judge judge(plan, options, data.is_labelled());
  for (std::size_t i = 0; i < request.conditions.size(); ++i) {
    if (hooks.is_stopped && hooks.is_stopped()) return fail(ErrorCode::kCancelled, "stopped");
    ConditionReport report =
        judge.report(names[i], evaluation.pictures, run->detections[i], evaluation.score);
    if (report.agreement) {
      const std::vector<Violation> found = find_violations(
          report.name, *report.agreement, report.loss, evaluation.labels, options.limits);
      evaluation.violations.insert(evaluation.violations.end(), found.begin(), found.end());
    }
    evaluation.conditions.push_back(std::move(report));
  }
  if (reference) decide(evaluation, options.limits);
  evaluation.detections = std::move(run->detections[0][0]);
  return evaluation;
}

Result<Evaluation> evaluate_results(const DataSet& data, const std::string& results_path,
                                    const EvaluationOptions& options) {
  if (!data.is_labelled()) return nothing_to_hold_against(data);
  const Result<std::string> text = read_whole_file(results_path);
  if (!text) return fail(text.error());
  const Result<std::vector<CocoResult>> results = parse_coco_results(*text, results_path);
  if (!results) return fail(results.error());
  DataSet named = data;
  for (std::size_t i = named.class_names.size(); i < named.class_count(); ++i)
    named.class_names.push_back(fmt::format("class {}", i));
  const Result<ClassPlan> plan =
      plan_classes(named, named.class_names, "the data set", nullptr, "", options.classes);
  if (!plan) return fail(plan.error());
  Evaluation evaluation{.labels = plan->labels, .notes = data.notes};
  evaluation.score = options.score.value_or(.35);
  std::unordered_map<std::string, std::size_t> places;
  for (const LabelledPicture& picture : data.pictures) {
    Size size = picture.labelled_size;
    if (size == Size{1, 1}) {
      const auto pixels = read_picture_file(picture.path);
      if (!pixels) {
        ++evaluation.broken;
        evaluation.problems.push_back(pixels.error().message());
        continue;
      }
      size = (*pixels)->size;
    }
    places.emplace(picture.id, evaluation.pictures.size());
    evaluation.pictures.push_back({.name = picture.name,
                                   .id = picture.id,
                                   .size = size,
                                   .objects = select_objects(scale_objects(picture, size), *plan)});
  }
  count_objects(evaluation);
  std::vector<std::vector<ExactDetection>> found_there(evaluation.pictures.size());
  for (std::size_t i = 0; i < results->size(); ++i) {
    const CocoResult& each = (*results)[i];
    const auto place = places.find(each.picture_id);
    if (place == places.end())
      return fail(
          ErrorCode::kInvalidArgument,
          fmt::format("{}: [{}].image_id: {} is no picture of {}, whose pictures are "
                      "called like {}",
                      results_path, i, each.picture_id, data.path, data.pictures.front().id));
    int class_id = static_cast<int>(std::clamp<std::int64_t>(each.category_id, -1, 1'000'000));
    if (!data.category_ids.empty()) {
      const auto found = std::ranges::find(data.category_ids, each.category_id);
      class_id = found == data.category_ids.end()
                     ? -1
                     : static_cast<int>(found - data.category_ids.begin());
    }
    if (class_id < 0 || static_cast<std::size_t>(class_id) >= plan->labels.size())
      return fail(ErrorCode::kInvalidArgument,
                  fmt::format("{}: [{}].category_id: {} is no class of {}", results_path, i,
                              each.category_id, data.path));
    ExactDetection& detection = found_there[place->second].emplace_back(each.detection);
    detection.class_id = class_id;
  }
  evaluation.conditions.push_back(
      Judge(*plan, options, true)
          .report("clean", evaluation.pictures, found_there, evaluation.score));
  for (const std::vector<ExactDetection>& picture : found_there) {
    std::vector<Detection>& plain = evaluation.detections.emplace_back();
    for (const ExactDetection& each : picture)
      plain.push_back({.class_id = each.class_id,
                       .score = static_cast<float>(each.score),
                       .box = to_box(each.box)});
  }
  return evaluation;
}

Result<ModelSpeed> measure_speed(const Detector& detector, Size size, std::size_t rounds) {
  const Result<ServiceTime> time =
      detector.measure_service_time(1, detector.input_for(size), rounds);
  if (!time) return fail(time.error());
  return ModelSpeed{.median_ms = to_ms(time->median),
                    .p95_ms = to_ms(time->p95),
                    .pictures_per_second = time->items_per_second,
                    .in_flight = std::max<std::size_t>(detector.facts().parallel_requests, 1)};
}

std::string to_coco_results(const Evaluation& evaluation, const DataSet& data) {
  // Back to the data set's classes; those it has no name for keep the model's number.
  std::vector<std::int64_t> category_of(evaluation.labels.size());
  for (std::size_t i = 0; i < category_of.size(); ++i)
    category_of[i] = static_cast<std::int64_t>(i);
  for (std::size_t i = 0; i < data.class_names.size(); ++i) {
    for (std::size_t id = 0; id < evaluation.labels.size(); ++id) {
      if (!is_same_class(data.class_names[i], evaluation.labels[id])) continue;
      category_of[id] =
          data.category_ids.empty() ? static_cast<std::int64_t>(i) : data.category_ids[i];
    }
  }
  const auto rounded = [](double value, double digits) {
    return std::round(value * digits) / digits;
  };
  std::string out = "[";
  for (std::size_t i = 0; i < evaluation.pictures.size(); ++i) {
    const std::string& id = evaluation.pictures[i].id;
    const bool is_number = !id.empty() && id.size() < 18 && (id == "0" || id[0] != '0') &&
                           id.find_first_not_of("0123456789") == std::string::npos;
    const nlohmann::json image_id = is_number ? nlohmann::json(std::stoll(id)) : nlohmann::json(id);
    for (const Detection& each : evaluation.detections[i]) {
      const Box& box = each.box;
      const nlohmann::ordered_json entry = {
          {"image_id", image_id},
          {"category_id", category_of[static_cast<std::size_t>(each.class_id)]},
          {"bbox",
           {rounded(box.x1, 1e3), rounded(box.y1, 1e3), rounded(box.x2 - box.x1, 1e3),
            rounded(box.y2 - box.y1, 1e3)}},
          {"score", rounded(each.score, 1e6)}};
      out += out.size() > 1 ? ",\n" : "\n";
      out += entry.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace);
    }
  }
  return out + "\n]\n";
}

}  // namespace framemill
