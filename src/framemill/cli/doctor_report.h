#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <vector>

#include "framemill/base/clock.h"
#include "framemill/core/geometry.h"
#include "framemill/engine/machine_facts.h"
#include "framemill/infer/runtime_facts.h"
#include "framemill/video/ffmpeg_facts.h"

namespace framemill {

/// What became of a model of the configuration.
struct CheckedModel {
  std::string name;  ///< key in `models:`, "#2" behind it for a rung of its ladder
  std::string path;
  std::string error;        ///< empty: it loads
  std::string description;  ///< "yolo11n int8, 640x384, on CPU"
  double frames_per_s = 0;  ///< as `run` would run it; 0: not measured
  bool is_from_profile = false;
  Duration service_p95{0};  ///< of a batch
  bool is_on_cpu = true;
};

/// What became of a camera.
struct CheckedCamera {
  std::string id;
  std::string url;    ///< without secrets
  std::string error;  ///< empty: it answers
  std::string codec;
  Size size;
  double frame_rate_hz = 0;
  Duration decode_time{0};  ///< of a frame that is decoded, on one core; 0: not known
  // As configured.
  std::size_t model = 0;      ///< index of the best rung in DoctorReport::models
  double sampled_hz = 0;      ///< frames to answer a second
  double inferred_share = 1;  ///< of those that must be inferred; adaptive without a budget: 0
  Duration slo{0};
  std::vector<std::string> unknown_classes;  ///< asked for, and no label of the model
};

/// A simple estimate of what the configuration needs, in shares of this machine.
struct LoadEstimate {
  double inference = 0;   ///< inferences wanted / those possible, summed over the models
  double decoding = 0;    ///< cores for decoding / cores
  bool is_known = false;  ///< false where a model or camera could not be looked at
  [[nodiscard]] double total() const { return inference + decoding; }
};

/// Something to tell, with what to do about it.
struct Finding {
  enum class Kind { kFix, kAdvice };
  Kind kind = Kind::kFix;
  std::string text;
  std::string remedy;
};

struct DoctorReport {
  MachineFacts machine;
  FfmpegFacts ffmpeg;
  std::vector<RuntimeFacts> runtimes;
  std::string config;  ///< empty: none was given
  std::vector<CheckedModel> models;
  std::vector<CheckedCamera> cameras;
  std::vector<std::string> profile_notes;  ///< why a profile was not used

  // Filled by diagnose().
  LoadEstimate load;
  std::vector<Finding> findings;  ///< what to do first comes first
  [[nodiscard]] bool has_to_be_fixed() const;
};

/// Past this share of the machine, bursts make answers late.
inline constexpr double kLoadLimit = .85;

/// Fills load and findings from the rest. Pure.
void diagnose(DoctorReport& report);

[[nodiscard]] std::string format_doctor_report(const DoctorReport& report);
[[nodiscard]] std::string to_doctor_json(const DoctorReport& report);

}  // namespace framemill
