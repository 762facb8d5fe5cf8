#pragma once

#include <memory>
#include <string>
#include <vector>

#include "framemill/base/clock.h"
#include "framemill/cli/doctor_report.h"
#include "framemill/config/run_settings.h"
#include "framemill/sched/device_profile.h"

namespace framemill {

struct DoctorLimits {
  Duration camera = std::chrono::seconds(8);   ///< to open and deliver a few frames
  Duration models = std::chrono::seconds(60);  ///< for all together
};

/// Opens every camera of `settings` and reads a few frames, many at once. Each has its time; one
/// that does not answer in it is reported so and left behind. Cameras of one address are looked at
/// once. The result is in the order of the settings. `clock` has to live as long as the process.
[[nodiscard]] std::vector<CheckedCamera> check_cameras(const RunSettings& settings,
                                                       const DoctorLimits& limits,
                                                       const Clock& clock);

/// What loading the models came to.
struct ModelsCheck {
  std::vector<CheckedModel> models;  ///< by model index; then the other rungs of the ladders
  std::vector<std::vector<std::string>> labels;  ///< of each; empty where it did not load
  std::vector<std::string> profile_notes;        ///< why a profile was not used
  /// A model neither loaded nor failed in time: its thread still runs, so end the process with
  /// _exit.
  bool is_hung = false;
};

/// Loads every model and tries how fast it is, or takes that from `profile` (null: none) where it
/// was measured of this very file. Pictures of `picture_size` choose the input of models of any
/// size.
[[nodiscard]] ModelsCheck check_models(const RunSettings& settings, Size picture_size,
                                       const DeviceProfile* profile, const DoctorLimits& limits);

}  // namespace framemill
