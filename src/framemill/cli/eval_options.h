#pragma once

#include <optional>
#include <string>
#include <vector>

#include "framemill/base/result.h"
#include "framemill/config/run_settings.h"
#include "framemill/engine/evaluation/data_set.h"
#include "framemill/engine/evaluation/evaluation.h"

namespace framemill {

/// What `framemill eval` was asked for.
struct EvalRequest {
  ModelSettings model;
  bool is_results = false;             ///< model.path is a COCO result file, no model
  std::optional<ModelSettings> other;  ///< that the model is held against
  DataSetQuery data;
  PictureRunRequest run;  ///< conditions, how many pictures, seed
  EvaluationOptions options;
  std::string out_dir;          ///< page and JSON document go there; empty: nowhere
  std::string detections_path;  ///< the model's detections as a COCO result file; empty: nowhere
  bool is_json_wanted = false;
  std::string command;  ///< as typed
  bool is_help_wanted = false;
};

/// Reads the arguments after `framemill eval`. Errors: kInvalidArgument for what is wrong on its
/// own: unknown options, values out of range, files that are not there, a report that could not be
/// written or would overwrite what is read.
[[nodiscard]] Result<EvalRequest> parse_eval_options(const std::vector<std::string>& args);

/// Whether a report or the detections would overwrite what is read: models, labels, `data` as far
/// as it is read already. Errors: kInvalidArgument with option, file and remedy.
[[nodiscard]] Result<void> check_eval_outputs(const EvalRequest& request, const DataSet& data);

/// The value of --format; none for "auto". Errors: kInvalidArgument.
[[nodiscard]] Result<std::optional<LabelFormat>> parse_label_format(const std::string& text);

/// The text of `framemill eval --help`.
[[nodiscard]] std::string eval_help();

inline constexpr const char* kEvalPageName = "eval.html";
inline constexpr const char* kEvalDocumentName = "eval.json";

}  // namespace framemill
