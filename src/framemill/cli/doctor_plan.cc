#include "framemill/cli/doctor_plan.h"

#include <algorithm>
#include <map>
#include <set>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "framemill/plan/capacity.h"
#include "framemill/plan/catalogue.h"

namespace framemill {
namespace {

constexpr double kLeastShare = .001;  // a workload cannot say that nothing is inferred
constexpr double kGibibyte = 1024.0 * 1024 * 1024;
constexpr std::size_t kPercentiles = 101;

/// As plan tells models apart: a stem is no other model's name.
std::string plan_name(const CheckedModel& model) {
  std::string name = model.name;
  std::ranges::replace(name, '.', '_');
  return name;
}

ServicePoint tried_point(const CheckedModel& model) {
  ServicePoint point{.streams = model.streams, .frames_per_s = model.frames_per_s};
  if (model.service_p95 > Duration::zero())
    point.service.percentiles.assign(kPercentiles, model.service_p95);
  return point;
}

DeviceProfile profile_of(const CheckedModel& model) {
  DeviceProfile profile;
  if (model.profile != nullptr) {
    profile = *model.profile;
  } else {
    profile.device = model.device;
    profile.run_streams = profile.knee_streams = model.streams;
    profile.points = {tried_point(model)};
  }
  profile.device_name = model.device;
  profile.model = plan_name(model);
  profile.decode.clear();  // what the cameras cost here is known better
  return profile;
}

CameraGroup group_of(const CheckedCamera& camera, const CheckedModel& model) {
  CameraGroup group;
  group.name = camera.id;
  group.codec = camera.codec;
  group.resolution = camera.size;
  group.fps = std::max(camera.frame_rate_hz, camera.sampled_hz);
  group.rate_hz = camera.sampled_hz;
  group.slo = camera.slo;
  group.model = plan_name(model);
  group.duty = std::max(camera.inferred_share, kLeastShare);
  return group;
}

bool is_plannable(const CheckedCamera& camera, const DoctorReport& report) {
  return camera.error.empty() && camera.model < report.models.size() &&
         report.models[camera.model].frames_per_s > 0 && camera.sampled_hz > 0 &&
         camera.slo > report.models[camera.model].service_p95 && camera.size.width > 0 &&
         camera.size.height > 0;
}

/// The workload of one device, equal cameras as one group, and what is known of its models.
struct DeviceWorkload {
  PlanRequest request;
  using Kind = std::tuple<std::size_t, std::string, int, int, double, double, double, std::int64_t>;
  std::map<Kind, std::size_t> known;
  std::set<std::size_t> models;
  struct DecodeTime {
    Duration total{0};
    std::int64_t cameras = 0;
  };
  std::map<std::tuple<std::string, int, int>, DecodeTime> decode_times;

  void add(const CheckedCamera& camera, const CheckedModel& model) {
    if (models.insert(camera.model).second)
      request.profiles.push_back({profile_of(model), model.name, model.name});
    std::vector<CameraGroup>& groups = request.workload.cameras;
    const Kind kind{camera.model,          camera.codec,         camera.size.width,
                    camera.size.height,    camera.frame_rate_hz, camera.sampled_hz,
                    camera.inferred_share, camera.slo.count()};
    const auto [group, is_new] = known.emplace(kind, groups.size());
    if (is_new)
      groups.push_back(group_of(camera, model));
    else
      ++groups[group->second].count;
    if (camera.decode_time <= Duration::zero()) return;
    DecodeTime& time = decode_times[{camera.codec, camera.size.width, camera.size.height}];
    time.total += camera.decode_time;
    ++time.cameras;
  }

  /// The mean of the cameras of each codec and size.
  [[nodiscard]] std::vector<DecodeRate> decode_rates() const {
    std::vector<DecodeRate> rates;
    for (const auto& [kind, time] : decode_times) {
      const auto& [codec, width, height] = kind;
      rates.push_back(
          {codec, {width, height}, static_cast<double>(time.cameras) / to_seconds(time.total)});
    }
    return rates;
  }
};

/// The terms that a machine can be too small by; links are not known here.
const CapacityTerm* binding_term(const CandidatePlan& plan, bool is_cpu) {
  const CapacityTerm* binding = nullptr;
  for (const CapacityTerm& term : plan.terms) {
    const bool is_asked =
        term.name == "compute" || term.name == "memory" || (is_cpu && term.name == "decode");
    if (!is_asked || !term.devices) continue;
    if (binding == nullptr || *term.devices > *binding->devices) binding = &term;
  }
  return binding;
}

/// Of one line for each candidate, and there is one: "CPU: why".
std::string reason_of(const Error& error) {
  const std::string& message = error.message();
  const std::size_t line = message.rfind('\n');
  const std::size_t reason = message.find(": ", line == std::string::npos ? 0 : line);
  return line == std::string::npos || reason == std::string::npos ? message
                                                                  : message.substr(reason + 2);
}

void plan_once(PlanRequest& request, double redundancy, const CheckedModel& model,
               DevicePlan& plan) {
  request.workload.redundancy = redundancy;
  const Result<Plan> planned = plan_capacity(request, Catalogue{});
  if (!planned) {
    plan.problem = reason_of(planned.error());
    return;
  }
  const CapacityTerm* const binding = binding_term(planned->candidates.front(), model.is_on_cpu());
  if (binding == nullptr) return;
  // In units of what this machine has of it.
  const auto count = static_cast<std::int64_t>(model.device_count);
  const std::int64_t needed = (*binding->devices + count - 1) / count;
  if (redundancy > 1) {
    plan.needed_with_reserve = needed;
    return;
  }
  plan.needed = needed;
  plan.binding = binding->name;
  plan.reason = binding->reason;
}

}  // namespace

std::vector<DevicePlan> plan_devices(const DoctorReport& report) {
  std::map<std::string, DeviceWorkload> workloads;
  for (const CheckedCamera& camera : report.cameras) {
    if (!is_plannable(camera, report)) continue;
    const CheckedModel& model = report.models[camera.model];
    workloads[model.device].add(camera, model);
  }
  std::vector<DevicePlan> plans;
  for (auto& [device, workload] : workloads) {
    PlanRequest& request = workload.request;
    const CheckedModel& first = report.models[*workload.models.begin()];
    DeviceCandidate candidate{.name = device};
    if (first.is_on_cpu()) {
      for (LoadedProfile& loaded : request.profiles) {
        loaded.profile.decode = workload.decode_rates();
        loaded.profile.environment.emplace("cores", std::to_string(report.machine.cores));
      }
      candidate.cores = static_cast<double>(report.machine.cores);
      const std::int64_t memory =
          report.machine.memory_limit_bytes.value_or(report.machine.memory_bytes);
      if (memory > 0) candidate.memory_gib = static_cast<double>(memory) / kGibibyte;
    } else if (first.device_memory_bytes) {
      candidate.memory_gib = *first.device_memory_bytes / kGibibyte;
    }
    request.workload.devices = {candidate};
    request.workload.n_plus_1 = false;
    DevicePlan plan{.device = device};
    plan_once(request, 1, first, plan);
    if (plan.problem.empty()) plan_once(request, kPlanReserve, first, plan);
    plans.push_back(std::move(plan));
  }
  return plans;
}

}  // namespace framemill
