#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "framemill/base/clock.h"
#include "framemill/base/result.h"
#include "framemill/core/camera.h"
#include "framemill/core/geometry.h"
#include "framemill/core/policy.h"

/// What a site asks for, as `plan`, `simulate` and `verify` read it from a workload file: groups of
/// equal cameras, and the hardware that could serve them. docs/reference/workload.md lists the
/// keys.

namespace framemill {

/// Cameras that are alike. `defaults:` is already applied.
struct CameraGroup {
  std::string name;                  ///< "gates"; unique, a name as a camera's id is one
  std::int64_t count = 1;            ///< cameras, 1..1e9
  std::string codec = "h264";        ///< h264, hevc, mjpeg, mpeg4; as profiles name it
  Size resolution{1920, 1080};       ///< of the stream
  double fps = 25;                   ///< frames a second that a camera delivers, .1..240
  std::string decode = "cpu";        ///< cpu|auto, as a camera's own key of a configuration
  std::optional<double> mbit_per_s;  ///< of one stream; unset: estimated from size and rate
  double rate_hz = 10;               ///< frames answered a second and camera, .01..240, <= fps
  Duration slo = std::chrono::milliseconds(200);  ///< from capture to answer
  Priority priority = Priority::kNormal;
  std::string model;           ///< file name as in profiles (the folder is dropped)
  std::string precision;       ///< "" (whatever the profile has), fp32, fp16, int8
  std::optional<double> duty;  ///< share of the sampled frames that is inferred, 0 < duty <= 1
  PolicyKind policy = PolicyKind::kFull;
  InferenceBudget budget;  ///< of the group as a whole; adaptive and hold only
};

/// The share of a group's sampled frames that the model runs on: `duty` where it is given, else
/// what its budget allows, else 1. Critical cameras of policy adaptive are always inferred. In
/// 0..1.
[[nodiscard]] double inferred_share(const CameraGroup& group);

/// Inferences a second of the whole group: count * rate * inferred_share().
[[nodiscard]] double inferences_per_s(const CameraGroup& group);

/// Hardware that could be bought. Unset values come from the profile, then from the catalogue.
struct DeviceCandidate {
  std::string name;                     ///< of a profile's device or of the catalogue; unique
  std::optional<std::int64_t> at_most;  ///< so many can be had, >= 1
  std::int64_t per_node = 1;            ///< devices in one machine, 1..64
  std::optional<double> price;          ///< of one device, in `Workload::currency`
  std::optional<double> node_price;     ///< of the machine around them
  std::optional<double> power_w;        ///< of one device, busy
  std::optional<double> node_power_w;   ///< of the machine around them
  std::optional<double> memory_gib;     ///< of one device; of the host for a CPU
  std::optional<double> cores;          ///< of one machine: it decodes; a CPU server infers, too
  std::optional<double> throughput;     ///< inferences a second that somebody promised, any model
};

/// What one machine can take in, in the units that data sheets use. Unset: not looked at.
struct WorkloadLinks {
  std::optional<double> network_gbit_per_s;
  std::optional<double> pcie_gbyte_per_s;  ///< of one device
  std::optional<double> disk_mbyte_per_s;
  bool is_recorded = false;  ///< the streams are written to that disk
};

/// What one workload file says.
struct Workload {
  std::string name;  ///< of the site; the file's name without extension where it has none
  std::vector<CameraGroup> cameras;      ///< at least one
  std::vector<DeviceCandidate> devices;  ///< may be empty: the profiles' devices
  double redundancy = 1.5;    ///< for peaks, two versions during an update, switching cost; 1..10
  bool n_plus_1 = true;       ///< the loss of one device must not break the promise
  std::optional<double> eta;  ///< share of the knee's throughput with 99 % within the SLO
  double decode_limit = .8;   ///< share of the decoders that may be used
  double memory_limit = .85;  ///< share of the memory that may be used
  WorkloadLinks links;
  std::string currency = "EUR";
  std::optional<double> energy_price;  ///< of one kWh
  double years = 5;                    ///< for which energy is counted
};

/// Of all groups.
[[nodiscard]] std::size_t count_cameras(const Workload& workload);

/// Reads a workload. Strict as parse_settings(): unknown keys, keys that stand twice, wrong types
/// and values out of range are errors; up to 20 are reported together, each as
/// "<name>:<line>: <place>: <what>; <remedy>". Sums over all groups are checked, too, so that what
/// counts with them cannot overflow: at most 1e9 cameras, and 1e12 frames a second.
/// Errors: kInvalidArgument.
[[nodiscard]] Result<Workload> parse_workload(std::string_view text, const std::string& name);

/// parse_workload() of a file. Further errors: kNotFound (no such file, or not readable).
[[nodiscard]] Result<Workload> load_workload(const std::string& path);

/// docs/reference/workload.md, from the tables that the parser reads.
[[nodiscard]] std::string workload_markdown();

}  // namespace framemill
