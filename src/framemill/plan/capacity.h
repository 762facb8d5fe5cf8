#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "framemill/base/result.h"
#include "framemill/config/workload.h"
#include "framemill/plan/catalogue.h"
#include "framemill/plan/service_model.h"

namespace framemill {

/// How many devices a workload needs (docs/plan.md explains every term).

/// Share of the knee's throughput at which 99 % of the answers keep their SLO, where neither the
/// workload file nor a simulation says one. Cameras are periodic, but their phases are not agreed:
/// in scheduling_bars_test the policy keeps .96 of capacity as goodput even at 2x overload, by
/// dropping; to lose under 1 % it needs slack. .85 is cautious; `framemill simulate` finds the
/// workload's own.
inline constexpr double kEtaDefault = .85;
/// Errors: kInvalidArgument where it is no share from 0.05 to 1.
[[nodiscard]] Result<void> check_eta(double eta);
/// What may be used of everything when the others take over for a lost device.
inline constexpr double kLoadAfterLoss = .95;
/// Share of a network, bus or disk that may be used.
inline constexpr double kLinkLimit = .8;

/// The decoded pictures that a camera keeps alive at once, in memory: ten of YUV 4:2:0.
[[nodiscard]] double picture_bytes_of_camera(Size size);

/// One term of G = max(...).
struct CapacityTerm {
  std::string name;                      ///< compute, decode, memory, link, n_plus_1
  std::optional<std::int64_t> devices;   ///< none: not known or not asked for
  std::string reason;                    ///< the sum behind it, or why there is none
  std::optional<Confidence> confidence;  ///< of its least sure figure; none: nothing was counted
};

/// A model on the devices of one layout.
struct PlannedModel {
  std::string model, precision;
  Size input;
  std::size_t batch = 1;
  std::size_t instances = 1;
  std::vector<std::string> groups;  ///< of cameras
  double slo_ms = 0;
  double qps = 0;     ///< inferences a second on each device, mean load
  double p99_ms = 0;  ///< predicted, from the sampled frame to its finished detections
};

/// Devices of a plan that run the same models.
struct DeviceLayout {
  std::int64_t count = 1;
  double qps = 0;  ///< of each
  std::vector<PlannedModel> models;
};

/// A figure beside its limit, of one device.
struct Usage {
  double used = 0, limit = 0;
};

/// Cores of one machine that decode beside its GPUs.
struct HostDecode {
  double used = 0;
  std::optional<double> limit;  ///< that may be used; none: nobody said what the machine has
};

/// What one kind of device would mean.
struct CandidatePlan {
  DeviceCandidate device;
  std::string problem;       ///< why it cannot be used; empty: it can
  bool is_built_for = true;  ///< this version runs there; else others go first
  std::int64_t count = 0;
  std::int64_t nodes = 0;
  std::vector<CapacityTerm> terms;
  std::string binding;  ///< name of the term that decides
  std::vector<DeviceLayout> layouts;
  double knee_fps = 0;   ///< of one device under this mix of models
  double occupancy = 0;  ///< mean share of time a device is busy
  std::optional<double> occupancy_after_loss;
  std::optional<Usage> decode;  ///< pixels a second of the card that decodes; of a CPU: cores
  std::optional<double> decode_after_loss;  ///< share of it in use with one device lost
  bool is_decoded_by_cores = false;
  std::optional<HostDecode> host_decode;  ///< beside GPUs
  bool is_decode_known = true;  ///< else more may be needed, and candidates that are known go first
  std::optional<Usage> memory;  ///< bytes
  std::optional<double> memory_after_loss;        ///< share of it in use with one device lost
  std::optional<double> power_w;                  ///< of all
  std::optional<double> cost;                     ///< of all, with energy where it has a price
  Confidence confidence = Confidence::kMeasured;  ///< of the least sure term
  std::vector<std::string> sources;
  std::vector<std::string> profile_hashes;
  std::vector<std::string> notes;
};

/// Devices of the best candidate for other numbers of cameras and rates.
struct WhatIf {
  std::vector<double> camera_factors, rate_factors;
  /// [cameras][rate]; none: the rate is above what the cameras deliver, or no plan is possible.
  std::vector<std::vector<std::optional<std::int64_t>>> devices;
};

struct Plan {
  Workload workload;
  double cameras = 0, qps = 0, sampled_per_s = 0, frames_per_s = 0, pixels_per_s = 0;
  double eta = kEtaDefault;
  std::string eta_source;
  std::vector<CandidatePlan> candidates;  ///< usable ones first, best first
  std::string criterion;                  ///< what "best" went by
  std::vector<std::string> flips;         ///< what would change the choice
  WhatIf what_if;
  std::vector<std::string> notes;
  [[nodiscard]] const CandidatePlan* best() const {
    return candidates.empty() || !candidates.front().problem.empty() ? nullptr
                                                                     : &candidates.front();
  }
};

struct PlanRequest {
  Workload workload;
  std::vector<LoadedProfile> profiles;
  /// Fingerprint of the machine that the plan is for, keyed as in profiles; empty: not known.
  std::map<std::string, std::string> target;
  std::optional<double> eta;  ///< given beside the workload, whose own counts more
};

/// Plans the workload on each candidate and compares them. Errors: kInvalidArgument where no
/// candidate there is could serve it whatever their number (an SLO below the fastest service time,
/// with the least possible; nothing known of a model), or where the profiles leave open which model
/// is meant; kNotFound where there is no candidate at all. Pure; well under a second at 1000
/// groups.
[[nodiscard]] Result<Plan> plan_capacity(const PlanRequest& request, const Catalogue& catalogue);

}  // namespace framemill
