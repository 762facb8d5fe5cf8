#pragma once

#include <optional>
#include <string>
#include <vector>

#include "framemill/engine/environment.h"
#include "framemill/engine/evaluation/data_set.h"
#include "framemill/engine/evaluation/evaluation.h"
#include "framemill/infer/backend.h"

namespace framemill {

/// A model that took part.
struct EvaluatedModel {
  ModelFacts facts;
  Size input;        ///< for the first picture
  ModelSpeed speed;  ///< in_flight 0: not measured
};

/// How an evaluation was made.
struct EvalContext {
  std::string version;  ///< of framemill
  std::string command;  ///< as typed
  std::string made_at;  ///< "2026-01-01T08:00:04Z"; empty: not stated
  Environment environment;
  std::optional<EvaluatedModel> model;      ///< none: detections made elsewhere
  std::optional<EvaluatedModel> reference;  ///< with --against
  std::string results_path;                 ///< of detections made elsewhere
  std::string data_path, labels_at;
  std::string split;  ///< empty: there are none
  LabelFormat format = LabelFormat::kNone;
  EvaluationOptions options;
};

/// Everything that `framemill eval` prints.
struct EvalReport {
  EvalContext context;
  Evaluation evaluation;

  [[nodiscard]] std::string model_name() const;
  [[nodiscard]] std::string reference_name() const;  ///< empty: none
  /// Why Verdict::kNotShown: "3 sure detections were compared, fewer than 20".
  [[nodiscard]] std::string not_shown_words() const;
};

/// The table for a terminal, at most 100 characters wide: figures by size and class, and, with a
/// reference, a row a condition and the verdict.
[[nodiscard]] std::string format_eval_table(const EvalReport& report);

/// One JSON document, schema "framemill.eval/1", indented, newline at the end. Ratios have six
/// digits; null where there is no figure. The same report gives the same bytes.
[[nodiscard]] std::string to_eval_json(const EvalReport& report);

}  // namespace framemill
