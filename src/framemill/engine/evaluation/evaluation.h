#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "framemill/engine/evaluation/average_precision.h"
#include "framemill/engine/evaluation/consistency.h"
#include "framemill/engine/evaluation/picture_run.h"

namespace framemill {

struct EvaluationOptions {
  std::vector<std::string> classes;  ///< of the model, that are looked at; empty: all
  std::optional<double> score;       ///< operating score; none: the model's own
  std::size_t resamples = 1000;      ///< of the bootstrap, at most
  std::uint64_t seed = 1;
  ConsistencyLimits limits;
  std::size_t worst_max = 0;  ///< pictures to keep for a report, per condition
};

/// How fast a model is on this machine, alone. Zeros: not measured.
struct ModelSpeed {
  double median_ms = 0;  ///< of one picture
  double p95_ms = 0;
  double pictures_per_second = 0;
  std::size_t in_flight = 0;  ///< pictures at once, at which that was measured
};

/// One model against labels.
struct ModelQuality {
  ApReport ap;
  std::optional<Interval> ap_interval;  ///< 95 %, by bootstrap over pictures
  std::optional<Interval> small_ap_interval;
  OperatingReport operating;
  std::optional<BestScore> best;
};

/// What one condition shows.
struct ConditionReport {
  std::string name;                       ///< "clean", "low_light", ...
  std::optional<ModelQuality> model;      ///< with labels
  std::optional<ModelQuality> reference;  ///< with labels, where there is another model
  std::optional<ApLoss> loss;
  std::optional<AgreementReport> agreement;  ///< where there is another model
};

/// A picture that shows what is wrong.
struct WorstPicture {
  std::size_t picture = 0;  ///< in Evaluation::pictures
  std::string condition;
  double badness = 0;            ///< sum of the scores of what differs; objects missed count 1
  std::int64_t missed = 0;       ///< of the left side, not found on the right one
  std::int64_t unconfirmed = 0;  ///< of the right side, not on the left one
  std::vector<Detection> left;   ///< the labels (score 1), or the reference's detections
  std::vector<Detection> right;  ///< the model's
  std::vector<bool> is_left_bad, is_right_bad;
  std::vector<std::uint8_t> jpeg;  ///< nothing drawn on it
};

/// All that `framemill eval` reports.
struct Evaluation {
  std::vector<std::string> labels;    ///< of the model, by class id
  std::vector<SeenPicture> pictures;  ///< class ids of the objects are the model's
  std::size_t broken = 0;
  std::vector<std::string> problems;
  std::vector<std::string> notes;
  std::int64_t objects = 0;                 ///< labelled
  double score = 0;                         ///< the operating score
  std::vector<ConditionReport> conditions;  ///< "clean" first
  std::vector<Violation> violations;        ///< limits that are not kept; only with another model
  std::optional<Verdict> verdict;           ///< only with another model
  /// On the pictures as they are: sure detections of the model that has more of them, or labelled
  /// objects that the other model finds at the operating score, whichever is more.
  std::int64_t compared = 0;
  std::vector<WorstPicture> worst;  ///< by condition, the worst first
  /// The model's detections on the pictures as they are, by picture, mapped to nothing.
  std::vector<std::vector<Detection>> detections;
};

/// How class ids of data set and models go together, checked before anything is inferred.
struct ClassPlan {
  std::vector<std::string> labels;      ///< of the model
  std::vector<int> data_to_model;       ///< by class of the data set; -1: not looked at
  std::vector<int> reference_to_model;  ///< empty: no other model
  std::vector<bool> is_judged;          ///< by class of the model: counts against labels
  std::vector<bool> is_compared;        ///< by class of the model: counts in agreement
  std::vector<std::string> notes;
};

/// `reference`: labels of the other model; null: none. Errors: those of map_classes();
/// kInvalidArgument for a name in `classes` that is none of the model's or the reference's, where
/// the data set has none of `classes`, and without a reference where no object is left to find.
[[nodiscard]] Result<ClassPlan> plan_classes(const DataSet& data,
                                             const std::vector<std::string>& model_labels,
                                             const std::string& model_name,
                                             const std::vector<std::string>* reference_labels,
                                             const std::string& reference_name,
                                             const std::vector<std::string>& classes);

/// Evaluates `model` on the data set's labels, and, with a `reference`, holds it against that under
/// each of `request.conditions` (of which the first has to be kNone). Sets `request.models`.
/// Errors: those of plan_classes() and run_on_pictures(); kInvalidArgument without labels and
/// reference: there is nothing to hold the model against. The same inputs give the same figures.
[[nodiscard]] Result<Evaluation> evaluate(const DataSet& data,
                                          const std::shared_ptr<const Detector>& model,
                                          const std::shared_ptr<const Detector>& reference,
                                          PictureRunRequest request,
                                          const EvaluationOptions& options, const Clock& clock,
                                          const PictureRunHooks& hooks = {});

/// The same for detections made elsewhere, by picture id; classes are the data set's. Opens only
/// pictures whose size the labels do not say. Errors: kInvalidArgument for ids and categories that
/// the data set lacks, and for a data set without labels.
[[nodiscard]] Result<Evaluation> evaluate_results(const DataSet& data,
                                                  const std::string& results_path,
                                                  const EvaluationOptions& options);

/// The speed of `detector` on pictures of `size`: `rounds` of inferences on everything the device
/// runs at once. Errors: those of Detector::measure_service_time().
[[nodiscard]] Result<ModelSpeed> measure_speed(const Detector& detector, Size size,
                                               std::size_t rounds);

/// `detections` of an Evaluation as COCO's result file: scores to 6 digits, boxes to 3. Category
/// ids are those of `data` where it has some, else the numbers of its classes, else the model's.
[[nodiscard]] std::string to_coco_results(const Evaluation& evaluation, const DataSet& data);

}  // namespace framemill
