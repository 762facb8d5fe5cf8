#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "framemill/base/clock.h"
#include "framemill/core/camera.h"

namespace framemill {

/// What the cameras of one priority get, predicted or measured.
struct LoadFigures {
  double sampled_per_s = 0;
  double in_time_per_s = 0;   ///< answers of any origin by their deadline
  double inferred_per_s = 0;  ///< answers by the model, late ones included
  double share_inferred = 0;  ///< of the sampled frames, 0..1
  Duration p50{0};            ///< latency of answers by the model
  Duration p95{0};
  Duration p99{0};
};

struct VerifiedClass {
  Priority priority = Priority::kNormal;
  std::int64_t cameras = 0;
  LoadFigures predicted;                          ///< by the profile
  std::optional<LoadFigures> predicted_at_speed;  ///< at `VerifyReport::speed`
  std::optional<LoadFigures> measured;            ///< none: it was not played
};

struct VerifyReport {
  std::string workload;
  std::size_t devices = 1;      ///< that share it; the figures are those of one
  Duration length{0};           ///< measured
  double capacity_per_s = 0;    ///< of one device, by the profile
  double demand_per_s = 0;      ///< inferences asked for
  double cores_busy = 0;        ///< of this process
  std::optional<double> speed;  ///< of the models right before, over that of the profile
  bool is_conserved = false;
  std::vector<VerifiedClass> classes;  ///< those with cameras
};

/// measured / predicted - 1; 0 where both are 0, 1 where only the prediction is.
[[nodiscard]] double error_of(double predicted, double measured);

/// Predicted beside measured, a line a figure; ends with a newline.
[[nodiscard]] std::string verify_table(const VerifyReport& report);
/// The same as a JSON document, schema "framemill.verify/1".
[[nodiscard]] std::string verify_json(const VerifyReport& report);

}  // namespace framemill
