#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "framemill/base/clock.h"
#include "framemill/core/geometry.h"
#include "framemill/engine/machine_facts.h"
#include "framemill/infer/runtime_facts.h"
#include "framemill/sched/device_profile.h"
#include "framemill/video/ffmpeg_facts.h"

namespace framemill {

/// What became of a model of the configuration.
struct CheckedModel {
  std::string name;  ///< key in `models:`, "#2" behind it for a rung of its ladder
  std::string path;
  std::string error;        ///< empty: it loads
  std::string description;  ///< "yolo11n int8, 640x384, on CPU"
  double frames_per_s = 0;  ///< as `run` would run it on one device; 0: not measured
  bool is_from_profile = false;
  Duration service_p95{0};                    ///< of a batch
  std::string device = "CPU";                 ///< the first of its devices, as its backend names it
  std::size_t device_count = 1;               ///< that it runs on, taken as equals of the first
  std::size_t streams = 1;                    ///< batches in flight
  std::optional<double> device_memory_bytes;  ///< that a card has
  std::int64_t host_bytes = 0;  ///< of the machine's memory on one device; 0: not measured
  std::shared_ptr<const DeviceProfile> profile;  ///< that its speed is from; null: it was tried
  std::string profile_note;  ///< why not, or where the profile's machine is another; may be empty
  [[nodiscard]] bool is_on_cpu() const { return device == "CPU"; }
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

/// A simple estimate of what the configuration needs, in shares of what this machine has. The
/// processor and each other device are limits of their own.
struct LoadEstimate {
  double inference = 0;  ///< inferences wanted / those possible, summed over the processor's models
  double decoding = 0;   ///< cores for decoding / cores
  std::map<std::string, double> devices;  ///< as `inference`, of the models elsewhere, by device
  bool is_known = false;                  ///< false where a model or camera could not be looked at
  [[nodiscard]] double processor() const { return inference + decoding; }
};

/// What a run of the configuration would take of the machine's memory.
struct MemoryNeed {
  std::int64_t cameras_bytes = 0;
  std::int64_t models_bytes = 0;
  std::int64_t process_bytes = 0;  ///< of framemill without any
  std::int64_t limit_bytes = 0;    ///< that may be used: a share of all, as plan counts it
  std::int64_t free_bytes = 0;     ///< now
  bool is_of_container = false;    ///< whose limit is the lower one
  bool is_known = true;            ///< false where a camera or model could not be looked at
  [[nodiscard]] std::int64_t total_bytes() const {
    return cameras_bytes + models_bytes + process_bytes;
  }
};

/// What `framemill plan` counts for the cameras whose model runs on one device of this machine.
struct DevicePlan {
  std::string device;
  std::string problem;      ///< why no number of such devices would do; empty: see below
  std::int64_t needed = 1;  ///< such devices at mean load
  std::string binding;      ///< the term that decides: compute, decode, memory
  std::string reason;       ///< its sum
  std::int64_t needed_with_reserve = 1;  ///< with the redundancy that plan recommends
};

/// Whether NVIDIA's decoder is there for those who ask for it.
struct DecoderCheck {
  std::vector<std::string> cameras;  ///< with `decode: auto`
  std::string error;                 ///< why the processor will decode them; empty: it is there
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
  std::vector<AbsentRuntime> absent_runtimes;
  std::string config;  ///< empty: none was given
  std::vector<CheckedModel> models;
  std::vector<CheckedCamera> cameras;
  std::vector<std::string> profile_notes;  ///< why a profile was not used, or where it is unlike
  DecoderCheck decoder;

  // Filled by diagnose().
  LoadEstimate load;
  MemoryNeed memory;
  std::vector<DevicePlan> plans;  ///< by device
  std::vector<Finding> findings;  ///< what to do first comes first
  [[nodiscard]] bool has_to_be_fixed() const;
};

/// Less free memory than that is too little for a model with two streams and a few cameras.
inline constexpr std::int64_t kMemoryLow = 500'000'000;
/// Past this share of the processor, or of a device, bursts make answers late.
inline constexpr double kLoadLimit = .85;

/// Fills load, plans and findings from the rest. Pure.
void diagnose(DoctorReport& report);

[[nodiscard]] std::string format_doctor_report(const DoctorReport& report);
[[nodiscard]] std::string to_doctor_json(const DoctorReport& report);

}  // namespace framemill
