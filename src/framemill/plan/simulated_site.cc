#include "framemill/plan/simulated_site.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <set>
#include <utility>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "framemill/base/check.h"
#include "framemill/plan/camera_deal.h"
#include "framemill/plan/catalogue.h"
#include "framemill/plan/lane_table.h"
#include "framemill/plan/model_name.h"
#include "framemill/plan/played_group.h"
#include "framemill/plan/processor_share.h"
#include "framemill/sched/split_mix.h"

namespace framemill {
namespace {

Error wrong(std::string message) { return Error(ErrorCode::kInvalidArgument, std::move(message)); }

std::string list_profiles(std::span<const DeviceProfile> profiles) {
  std::string list;
  for (const DeviceProfile& profile : profiles) {
    list += fmt::format("{}{} {}", list.empty() ? "" : ", ", profile.model, profile.precision);
  }
  return list;
}

std::string name_of(const DeviceProfile& profile) {
  return profile.device_name.empty() ? profile.device : profile.device_name;
}

bool is_processor(const DeviceProfile& profile) { return profile.device == "CPU"; }

/// Whether both can be models of one device. Of a processor all cores count.
bool is_same_device(const DeviceProfile& a, const DeviceProfile& b) {
  const auto cores = [](const DeviceProfile& profile) {
    const auto found = profile.environment.find("cores");
    return found == profile.environment.end() || !is_processor(profile) ? std::string()
                                                                        : found->second;
  };
  return name_of(a) == name_of(b) && is_processor(a) == is_processor(b) && cores(a) == cores(b);
}

/// What a sampled frame of `group` goes through between decoding and the scheduler.
double carry_s(const CameraGroup& group, const DeviceProfile& profile) {
  const bool is_carried = policy_of(group) == PolicyKind::kAdaptive;
  return profile.camera && is_carried ? profile.camera->carry_s : 0;
}

/// Where the frames of a group are decoded, and what one takes there.
struct FrameDecoding {
  bool is_by_card = false;        ///< else by a core of the machine
  double engines = 1;             ///< that the card has
  std::optional<double> frame_s;  ///< of one engine, or core; none: not known
};

FrameDecoding decoding_of(const CameraGroup& group, const DeviceProfile& profile) {
  const CatalogueDevice* const entry = built_in_catalogue().find(name_of(profile));
  if (is_processor(profile) || !is_for_card(group) || !has_known_decoder(entry))
    return {.frame_s = decode_core_s(profile.decode, group.codec, group.resolution)};
  return {.is_by_card = true,
          .engines = engines_of(entry),
          .frame_s = decode_card_s(entry, group.codec, group.resolution)};
}

/// What one camera of `group` asks of a device of `profile`, whose model alone does `alone_per_s`.
DeviceLoad load_of(const CameraGroup& group, const DeviceProfile& profile, double alone_per_s) {
  DeviceLoad load{.models = group.rate_hz * inferred_share(group) / alone_per_s};
  if (!is_processor(profile)) return load;  // else it decodes, too
  const CamerasBeside camera{.count = 1,
                             .codec = group.codec,
                             .size = group.resolution,
                             .fps = group.fps,
                             .rate_hz = group.rate_hz,
                             .is_carried = policy_of(group) == PolicyKind::kAdaptive};
  load.cores = cores_beside(profile, {&camera, 1});
  return load;
}

SimulatedCamera camera_of(const CameraGroup& group, std::size_t lane) {
  return {.dispatch = {.policy = policy_of(group),
                       .priority = group.priority,
                       .slo = group.slo,
                       .period = from_seconds(1 / group.rate_hz),
                       .model = lane},
          .lane = static_cast<LaneIndex>(lane),
          .fps = group.fps};
}

Result<void> check_slo(const CameraGroup& group, const ServiceDraws& model) {
  const double least = model.quantile_s(1, 1, .5);
  if (to_seconds(group.slo) > least) return {};
  return fail(wrong(fmt::format(
      "cameras[{}].slo: {:g} ms is less than one picture takes on this device, alone and half of "
      "the time ({:.1f} ms); above {:.0f} ms it is possible at all",
      group.name, to_ms(group.slo), 1e3 * least, std::ceil(1e3 * least))));
}

/// The recorded cameras that play those of `group`.
Result<std::vector<std::size_t>> find_traced(const CameraGroup& group, const SceneTrace& trace) {
  const bool is_motion_needed = camera_of(group, 0).dispatch.policy == PolicyKind::kAdaptive;
  std::vector<std::size_t> own, all;
  for (std::size_t i = 0; i < trace.cameras.size(); ++i) {
    const TracedCamera& camera = trace.cameras[i];
    if (is_motion_needed && !camera.has_motion) continue;
    all.push_back(i);
    if (camera.id == group.name || camera.id.starts_with(group.name + "-")) own.push_back(i);
  }
  if (!own.empty()) return own;
  if (!all.empty()) return all;
  return fail(wrong(fmt::format(
      "cameras[{}] are adaptive, and no camera of the trace was: it says nothing about motion; "
      "record one with policy adaptive, or leave --trace out",
      group.name)));
}

/// Fidelity counts detections, so cameras with more objects count for more: those of `camera` over
/// the mean of `all`.
double weight_of(std::size_t camera, const std::vector<std::size_t>& all, const SceneTrace& trace) {
  double sum = 0;
  for (const std::size_t other : all) sum += trace.cameras[other].sure_objects;
  if (sum <= 0) return 1;
  return trace.cameras[camera].sure_objects * static_cast<double>(all.size()) / sum;
}

Result<void> check_size(const Workload& workload, Duration length) {
  std::int64_t cameras = 0;
  double frames = 0;
  for (const CameraGroup& group : workload.cameras) {
    cameras += group.count;
    frames += static_cast<double>(group.count) * group.rate_hz * to_seconds(length);
  }
  if (cameras == 0) return fail(wrong("the workload has no cameras; there is nothing to simulate"));
  if (cameras <= kSimulatedCamerasMax && frames <= kSimulatedFramesMax) return {};
  return fail(wrong(fmt::format(
      "{} cameras with {:.3g} frames in {:g} s are more than can be simulated ({} cameras, {:g} "
      "frames); simulate a part of the site, or for less time: `framemill plan` counts any "
      "number",
      cameras, frames, to_seconds(length), kSimulatedCamerasMax, kSimulatedFramesMax)));
}

/// The device as the workload wants it, but as it was measured: nothing is promised or scaled. The
/// cores around a card are none of its own.
DeviceCandidate candidate_of(const Workload& workload, const LoadedProfile& measured) {
  for (const DeviceCandidate& wanted : workload.devices) {
    if (find_profile_of(wanted, {measured}, built_in_catalogue()) == nullptr) continue;
    DeviceCandidate candidate = wanted;
    candidate.name = name_of(measured.profile);
    candidate.throughput.reset();
    if (is_processor(measured.profile)) candidate.cores.reset();
    candidate.at_most.reset();
    return candidate;
  }
  return {.name = name_of(measured.profile)};
}

std::vector<LoadedProfile> loaded(std::span<const DeviceProfile> profiles) {
  std::vector<LoadedProfile> all;
  for (const DeviceProfile& profile : profiles)
    all.push_back({.profile = profile, .name = profile.model});
  return all;
}

/// Devices, and which of them each camera is on.
struct Deal {
  std::size_t devices = 1;
  std::string reason;
  std::optional<double> eta;
  std::vector<DeviceLayout> layouts;  ///< empty: all devices are alike
  std::vector<std::size_t> device_of_camera;
};

/// So many devices of `profiles` as `plan` counts, as it lays them out.
Result<Deal> plan_devices(const Workload& workload, std::span<const DeviceProfile> profiles,
                          std::optional<double> eta) {
  PlanRequest request{.workload = workload, .profiles = loaded(profiles), .eta = eta};
  request.workload.devices = {candidate_of(workload, request.profiles.front())};
  const Result<Plan> plan = plan_capacity(request, built_in_catalogue());
  if (!plan) {
    return fail(wrong(fmt::format("{}; say with --devices how many are to be simulated",
                                  plan.error().message())));
  }
  const CandidatePlan& best = *plan->best();
  const auto planned = static_cast<std::size_t>(best.count);
  Deal deal{.devices = std::min(planned, count_cameras(workload)), .eta = plan->eta};
  if (best.layouts.size() > 1) {
    deal.layouts = best.layouts;
    deal.device_of_camera = deal_as_laid_out(workload, deal.layouts);
    deal.devices = std::ranges::max(deal.device_of_camera) + 1;
  } else {
    deal.device_of_camera = deal_in_turn(workload, deal.devices);
  }
  deal.reason =
      deal.devices == planned
          ? fmt::format("as planned by {}, eta {:g}", best.binding, plan->eta)
          : fmt::format("those with a camera; planned are {}, eta {:g}", planned, plan->eta);
  return deal;
}

/// Puts a site together.
class SiteMaker {
 public:
  SiteMaker(const Workload& workload, std::span<const DeviceProfile> profiles)
      : workload_(workload), given_(profiles) {}

  Result<SimulatedSite> make(const SiteOptions& options) {
    if (Result<void> found = find_lanes(); !found) return fail(found.error());
    const Result<Deal> deal = make_deal(options);
    if (!deal) return fail(deal.error());
    site_.devices.resize(deal->devices);
    site_.devices_reason = deal->reason;
    site_.eta = deal->eta;
    site_.layouts = deal->layouts;
    const Result<void> dealt = deal_cameras(deal->device_of_camera, options.trace.get());
    if (!dealt) return fail(dealt.error());
    set_devices(options);
    if (!is_processor(site_.profiles.front())) add_card_decoding();
    return std::move(site_);
  }

 private:
  /// The profile and the lane of each group, and one camera of it.
  Result<void> find_lanes() {
    std::vector<std::size_t> used;  // by lane
    std::vector<std::size_t> lane_of_group;
    for (const CameraGroup& group : workload_.cameras) {
      const Result<std::size_t> found = find_profile(group, given_);
      if (!found) return fail(found.error());
      const auto lane = std::ranges::find(used, *found);
      lane_of_group.push_back(static_cast<std::size_t>(lane - used.begin()));
      if (lane != used.end()) continue;
      used.push_back(*found);
      site_.profiles.push_back(given_[*found]);
      const DeviceProfile& host = site_.profiles.front();
      if (!is_same_device(host, site_.profiles.back())) return fail(other_device(group));
    }
    site_.device_name = name_of(site_.profiles.front());
    Result<std::vector<ServiceDraws>> lanes = LaneTable(site_.profiles).find({.models = 1});
    if (!lanes) return fail(lanes.error());
    for (std::size_t i = 0; i < workload_.cameras.size(); ++i) {
      const CameraGroup& group = workload_.cameras[i];
      const ServiceDraws& model = (*lanes)[lane_of_group[i]];
      if (Result<void> checked = check_slo(group, model); !checked) return checked;
      SimulatedCamera camera = camera_of(group, lane_of_group[i]);
      camera.load = load_of(group, site_.profiles.front(), model.alone_per_s());
      decoding_of_group_.push_back(decoding_of(group, site_.profiles.front()));
      camera.ingest = from_seconds(decoding_of_group_.back().frame_s.value_or(0) +
                                   carry_s(group, site_.profiles.front()));
      camera_of_group_.push_back(camera);
    }
    return {};
  }

  Error other_device(const CameraGroup& group) const {
    const DeviceProfile& first = site_.profiles.front();
    const DeviceProfile& other = site_.profiles.back();
    const auto describe = [](const DeviceProfile& profile) {
      const auto cores = profile.environment.find("cores");
      const bool is_told = is_processor(profile) && cores != profile.environment.end();
      return name_of(profile) + (is_told ? fmt::format(" with {} cores", cores->second) : "");
    };
    return wrong(fmt::format(
        "cameras[{}] run {}, which was measured on {}, and {} was on {}: they are not models of "
        "one device; measure both on the same, or simulate the groups apart",
        group.name, other.model, describe(other), first.model, describe(first)));
  }

  Result<Deal> make_deal(const SiteOptions& options) const {
    if (!options.devices) return plan_devices(workload_, site_.profiles, options.eta);
    const std::size_t given = *options.devices;
    const std::size_t cameras = count_cameras(workload_);
    if (given >= 1 && given <= cameras) {
      return Deal{.devices = given,
                  .reason = "as given",
                  .device_of_camera = deal_in_turn(workload_, given)};
    }
    return fail(
        wrong(fmt::format("{} devices for {} cameras: give 1 to {}", given, cameras, cameras)));
  }

  Result<void> deal_cameras(const std::vector<std::size_t>& device_of_camera,
                            const SceneTrace* trace) {
    groups_of_device_.resize(site_.devices.size());
    std::size_t next = 0;
    for (std::size_t i = 0; i < workload_.cameras.size(); ++i) {
      SimulatedCamera camera = camera_of_group_[i];
      std::vector<std::size_t> traced;
      if (trace != nullptr) {
        Result<std::vector<std::size_t>> found = find_traced(workload_.cameras[i], *trace);
        if (!found) return fail(found.error());
        traced = *std::move(found);
      }
      for (std::int64_t n = 0; n < workload_.cameras[i].count; ++n) {
        if (trace != nullptr) {
          camera.traced = traced[static_cast<std::size_t>(n) % traced.size()];
          camera.weight = weight_of(*camera.traced, traced, *trace);
        }
        const std::size_t device = device_of_camera[next++];
        site_.devices[device].cameras.push_back(camera);
        ++groups_of_device_[device][i];
      }
    }
    return {};
  }

  /// Cameras by the place of their group.
  using GroupCounts = std::map<std::size_t, std::int64_t>;

  /// Of the frames that a budget or a duty limits, those that are inferred; none: it limits none.
  std::optional<double> limited_share(const GroupCounts& counts) const {
    double inferred = 0;
    double limited = 0;
    for (const auto& [place, count] : counts) {
      const CameraGroup& group = workload_.cameras[place];
      if (policy_of(group) == PolicyKind::kFull) continue;
      const double sampled = static_cast<double>(count) * group.rate_hz;
      inferred += sampled * inferred_share(group);
      limited += sampled;
    }
    if (limited <= 0) return std::nullopt;
    return std::clamp(inferred / limited, 1e-6, 1.0);
  }

  /// Where all devices have the same groups, they have one share, as the workload has it. Laid out
  /// otherwise, each has that of its own; where it has none, cameras that it may take over bring
  /// the workload's.
  void set_shares() {
    GroupCounts all;
    for (std::size_t i = 0; i < workload_.cameras.size(); ++i) all[i] = workload_.cameras[i].count;
    const double common = limited_share(all).value_or(1);
    for (std::size_t i = 0; i < site_.devices.size(); ++i) {
      const GroupCounts& own = site_.layouts.empty() ? all : groups_of_device_[i];
      site_.devices[i].share = limited_share(own).value_or(common);
    }
  }

  void set_devices(const SiteOptions& options) {
    LaneTable lanes(site_.profiles);
    SplitMix seeds(options.seed);
    set_shares();
    for (SimulatedDevice& device : site_.devices) {
      device.lanes = lanes.at(load_of(device));
      device.length = options.length;
      device.seed = seeds();
      device.trace = options.trace;
      add_capacity(device);
    }
  }

  void add_card_decoding() {
    const std::vector<LoadedProfile> profiles = loaded(site_.profiles);
    const DeviceCandidate card = candidate_of(workload_, profiles.front());
    CardDecoding decoding{.all_cores = find_cores(card, profiles, built_in_catalogue())};
    std::set<std::string> unknown;
    for (const GroupCounts& counts : groups_of_device_) {
      double by_card = 0;
      double by_cores = 0;
      for (const auto& [place, count] : counts) {
        const CameraGroup& group = workload_.cameras[place];
        const FrameDecoding& frame = decoding_of_group_[place];
        if (!frame.frame_s) unknown.insert(group.codec);
        (frame.is_by_card ? by_card : by_cores) +=
            static_cast<double>(count) * group.fps * frame.frame_s.value_or(0) / frame.engines;
      }
      const auto cards = static_cast<double>(card.per_node);
      decoding.card = std::max(decoding.card, cards * by_card);
      decoding.cores = std::max(decoding.cores, cards * by_cores);
    }
    decoding.unknown.assign(unknown.begin(), unknown.end());
    site_.decoding = std::move(decoding);
  }

  /// Slots are shared by the models as they are asked for.
  void add_capacity(const SimulatedDevice& device) {
    double demand_per_s = 0;
    double devices = 0;
    for (const SimulatedCamera& camera : device.cameras) {
      const ServiceDraws& model = device.lanes[camera.lane];
      const double per_s = camera.load.models * model.alone_per_s();
      demand_per_s += per_s;
      devices += per_s / model.capacity_per_s();
    }
    site_.demand_per_s += demand_per_s;
    site_.capacity_per_s += demand_per_s / devices;
  }

  const Workload& workload_;
  const std::span<const DeviceProfile> given_;
  SimulatedSite site_;
  std::vector<SimulatedCamera> camera_of_group_;
  std::vector<FrameDecoding> decoding_of_group_;
  std::vector<GroupCounts> groups_of_device_;
};

}  // namespace

Result<std::size_t> find_profile(const CameraGroup& group,
                                 std::span<const DeviceProfile> profiles) {
  std::vector<std::size_t> found;
  for (std::size_t i = 0; i < profiles.size(); ++i) {
    const bool is_precision = group.precision.empty() || profiles[i].precision == group.precision;
    if (is_precision && is_model_named(group.model, profiles[i].model)) found.push_back(i);
  }
  if (found.size() == 1) return found.front();
  const std::string wanted =
      group.model.empty()
          ? std::string("a model that is not named")
          : fmt::format("{}{}{}", group.model, group.precision.empty() ? "" : " ", group.precision);
  if (found.empty()) {
    return fail(
        wrong(fmt::format("cameras[{}] run {}, and no profile is of it (given: {}); measure "
                          "it with `framemill bench`",
                          group.name, wanted, list_profiles(profiles))));
  }
  return fail(
      wrong(fmt::format("cameras[{}] run {}, and several profiles fit (given: {}); give "
                        "one, or name `model` and `precision` in the workload",
                        group.name, wanted, list_profiles(profiles))));
}

Workload share_of_device(const Workload& workload, std::size_t devices) {
  CHECK(devices >= 1 && devices <= count_cameras(workload));
  const auto every = static_cast<std::int64_t>(devices);
  const auto dealt = [every](std::int64_t cameras) { return (cameras + every - 1) / every; };
  Workload share = workload;
  share.cameras.clear();
  std::int64_t before = 0;  // cameras of earlier groups
  for (const CameraGroup& group : workload.cameras) {
    CameraGroup part = group;
    part.count = dealt(before + group.count) - dealt(before);
    before += group.count;
    if (part.count == 0) continue;
    if (part.budget.per_second) {  // of all the group's cameras
      *part.budget.per_second *= static_cast<double>(part.count) / static_cast<double>(group.count);
    }
    share.cameras.push_back(std::move(part));
  }
  return share;
}

std::string decoding_shortage(const SimulatedSite& site) {
  if (!site.decoding) return "";
  const CardDecoding& decoding = *site.decoding;
  std::vector<std::string> parts;
  if (decoding.card > 1)
    parts.push_back(fmt::format("decoding takes {:.0f} % of what the decoder of {} can do",
                                100 * decoding.card, site.device_name));
  if (decoding.all_cores && decoding.cores > *decoding.all_cores)
    parts.push_back(fmt::format("decoding takes {:.1f} cores of a machine that has {:g}",
                                decoding.cores, *decoding.all_cores));
  if (!decoding.unknown.empty())
    parts.push_back(fmt::format("nobody knows how fast {} is decoded there",
                                fmt::join(decoding.unknown, ", ")));
  if (parts.empty()) return "";
  return fmt::format("{}; it is taken to keep up (`framemill plan` counts machines for it)",
                     fmt::join(parts, "; "));
}

Result<SimulatedSite> make_site(const Workload& workload, std::span<const DeviceProfile> profiles,
                                const SiteOptions& options) {
  if (Result<void> checked = check_size(workload, options.length); !checked)
    return fail(checked.error());
  return SiteMaker(workload, profiles).make(options);
}

}  // namespace framemill
