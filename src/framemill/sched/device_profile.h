#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "framemill/base/clock.h"
#include "framemill/core/geometry.h"

namespace framemill {

/// What `bench` measured of one model on one device, and what `plan` and `simulate` count with. A
/// plain value; it is written and read by plan/profile_json.h.

/// A distribution as its quantiles at 0, 1, .. 100 %; ascending. Empty: nothing was measured.
struct LatencyDistribution {
  std::vector<Duration> percentiles;  ///< 101 values or none
  friend bool operator==(const LatencyDistribution&, const LatencyDistribution&) = default;
};

/// One setting in which the model was kept busy: `streams` batches of `batch` frames at once.
struct ServicePoint {
  std::size_t batch = 1;        ///< frames a batch, 1..32
  std::size_t streams = 1;      ///< batches in flight at once, 1..4
  std::size_t decoders = 0;     ///< cameras decoded beside it; 0: the model alone
  double frames_per_s = 0;      ///< throughput of the whole setting, > 0
  LatencyDistribution service;  ///< of a batch, hand-over to completion
  double cpu_cores = 0;         ///< processor time a second of wall time, decoding left out
  std::int64_t host_bytes = 0;  ///< peak resident memory with it, over that without the model
  std::optional<std::int64_t> device_bytes;  ///< where the backend tells
  std::optional<double> power_w;             ///< mean while busy, where readable
  std::optional<double> temperature_c;       ///< highest while busy, where readable
  double spread = 0;  ///< (highest - lowest) / mean throughput of the windows that counted
  friend bool operator==(const ServicePoint&, const ServicePoint&) = default;
};

/// Batches of one size in a whole run.
struct RunBatches {
  std::size_t batch = 1;      ///< frames a batch, a bucket of 1..32
  std::size_t in_flight = 1;  ///< batches at once, itself included: the mean over its life, rounded
  std::int64_t count = 0;     ///< that were measured, > 0
  LatencyDistribution service;
  friend bool operator==(const RunBatches&, const RunBatches&) = default;
};

/// How long batches took while the engine ran with cameras, at one load: frames decoded and handed
/// over, threads woken from rest, caches shared. A model that is kept busy with nothing else, as in
/// ServicePoint, is faster than in an idle run and than in a crowded one.
struct RunPoint {
  std::size_t cameras = 1;  ///< that were decoded
  double rate_hz = 0;       ///< sampled of each, > 0
  double frames_per_s = 0;  ///< inferred, > 0
  std::vector<RunBatches> batches;
  Duration handover{0};  ///< from a batch's end to the start of the next where frames wait
  /// How much batches resemble those shortly before them, 0..1: the share of the variance of their
  /// times (in normal scores) which stays, and the time in which that falls to 1/e. Slow spells
  /// make queues that as many slow batches here and there would not.
  double likeness = 0;
  Duration likeness_time{0};
  friend bool operator==(const RunPoint&, const RunPoint&) = default;
};

/// What a camera costs beside the model on the same processor.
struct CameraCost {
  double fps = 0;       ///< of the cameras that `ServicePoint::decoders` counts, > 0
  double decode_s = 0;  ///< processor time a delivered frame of them, > 0
  double carry_s =
      0;  ///< the same a sampled frame under policy adaptive: motion, boxes; 0: unknown
  /// What the model loses with each sampled frame besides, in a run that offers more than it can
  /// infer: handing over, waking threads, cold caches. In core seconds; 0: nothing, or unknown.
  double sample_s = 0;          ///< policy full
  double carried_sample_s = 0;  ///< policy adaptive
  friend bool operator==(const CameraCost&, const CameraCost&) = default;
};

/// Decoding on this machine, one thread a stream.
struct DecodeRate {
  std::string codec;             ///< h264, hevc, mjpeg, ...
  Size size;                     ///< of the pictures
  double frames_per_core_s = 0;  ///< every frame decoded; > 0
  friend bool operator==(const DecodeRate&, const DecodeRate&) = default;
};

/// Keys of DeviceProfile::environment that say how the model was loaded, beside
/// DeviceProfile::device; profiles of older framemills lack them. In the words of a model's
/// settings: `runtime` (openvino, onnxruntime), and `precision` as it was asked for (auto, fp32,
/// fp16, bf16).
inline constexpr const char* kBackendKey = "backend";
inline constexpr const char* kArithmeticKey = "arithmetic";

struct DeviceProfile {
  std::string device;        ///< backend's name of it, CPU
  std::string device_name;   ///< as it calls itself
  std::string model;         ///< file name without folder
  std::string model_sha256;  ///< of all files of the model together (hash_model()), 64 hex digits
  std::string precision;     ///< fp32, fp16, int8
  Size input;                ///< of the model
  std::map<std::string, std::string>
      environment;  ///< fingerprint: cpu, cores, kernel, runtime, ...
  WallTime measured_at;
  std::size_t knee_batch = 1;    ///< past which doubling adds < 5 % throughput
  std::size_t knee_streams = 1;  ///< the same of streams, at the knee batch
  std::size_t run_streams = 1;   ///< batches in flight that `run` keeps on the device by default
  std::vector<ServicePoint> points;  ///< the knee with `decoders` 0 is among them
  std::vector<RunPoint> runs;        ///< ascending in what they asked for; empty: not measured
  std::vector<DecodeRate> decode;
  std::optional<CameraCost> camera;
  friend bool operator==(const DeviceProfile&, const DeviceProfile&) = default;
};

}  // namespace framemill
