#pragma once

#include <memory>
#include <string>
#include <vector>

#include "framemill/base/clock.h"
#include "framemill/cli/doctor_report.h"
#include "framemill/config/run_settings.h"
#include "framemill/engine/fingerprint.h"
#include "framemill/sched/device_profile.h"
#include "framemill/video/hardware_decoder.h"

namespace framemill {

struct DoctorLimits {
  Duration camera = std::chrono::seconds(8);   ///< to open and deliver a few frames
  Duration models = std::chrono::seconds(60);  ///< for all together
};

/// Opens every camera of `settings` and reads a few frames, many at once. Each has its time; one
/// that does not answer in it is reported so and left behind. Cameras of one address are looked at
/// once. The result is in the order of the settings. `clock` has to live as long as the process.
/// `hardware`: decodes for those with `decode: auto`, as in a run; null: the processor does.
[[nodiscard]] std::vector<CheckedCamera> check_cameras(
    const RunSettings& settings, const DoctorLimits& limits,
    const std::shared_ptr<const HardwareDecoder>& hardware, const Clock& clock);

/// Whose `decode: auto` asks for NVIDIA's decoder, and the decoder if so and it is there.
struct FoundDecoder {
  DecoderCheck check;
  std::shared_ptr<const HardwareDecoder> decoder;
};
/// Tries it once; 100 ms and more where somebody asks for it.
[[nodiscard]] FoundDecoder find_decoder(const RunSettings& settings);

/// What a profile is worth for a model that was loaded here.
struct ProfileFit {
  bool is_used = false;  ///< same file, input and device, loaded with the same settings
  std::string note;      ///< what differs; empty: nothing, or it is of another model altogether
};
/// `here`: the fingerprint of machine and model. Pure.
[[nodiscard]] ProfileFit fit_profile(const DeviceProfile& profile, const ModelFacts& facts,
                                     Size input, const Fingerprint& here);

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
