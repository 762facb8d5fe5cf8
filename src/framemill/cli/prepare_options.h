#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <vector>

#include "framemill/base/result.h"
#include "framemill/config/run_settings.h"
#include "framemill/core/geometry.h"

namespace framemill {

/// What `framemill prepare` was asked for.
struct PrepareRequest {
  ModelSettings model;                     ///< path, labels, head
  std::string out;                         ///< the folder that the set is written to
  std::string data;                        ///< what variants are evaluated on; empty: footage alone
  std::vector<std::string> calibrate;      ///< folders, pictures, clips, URLs; may be empty
  std::string format = "auto", split;      ///< of `data`, as `framemill eval` takes them
  std::optional<std::vector<Size>> sizes;  ///< besides the exported one; unset: wide ones
  std::vector<std::string> precisions;     ///< of fp16, int8
  std::vector<std::string> forms;          ///< of openvino, onnx
  std::vector<std::string> conditions;     ///< of INT8's evaluation, clean first
  std::size_t pictures = 64;               ///< for calibration
  std::size_t evaluate = 0;                ///< pictures of `data` at most; 0: all
  bool is_attention_float = false;
  std::string bench = "quick";  ///< quick, standard or off
  bool is_json_wanted = false;
  std::vector<std::string> limits;  ///< options of `framemill eval` with their values
  double degraded_agreement = .85;  ///< of INT8 with FP32 on degraded pictures, at least
  std::string venv;                 ///< empty: in framemill's cache folder
  std::string command;              ///< as typed
  bool is_help_wanted = false;
};

/// Reads the arguments after `framemill prepare`. Makes the output folder. Errors: kInvalidArgument
/// for unknown options, values out of range, files that are not there, a folder that cannot be
/// written to or holds what is read where the set is written.
[[nodiscard]] Result<PrepareRequest> parse_prepare_options(const std::vector<std::string>& args);

/// The text of `framemill prepare --help`.
[[nodiscard]] std::string prepare_help();

}  // namespace framemill
