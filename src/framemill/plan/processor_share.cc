#include "framemill/plan/processor_share.h"

#include <algorithm>
#include <cmath>

namespace framemill {
namespace {

/// A loss out of this range says more about the measurement than about decoding.
constexpr double kLossFactorMin = 1;
constexpr double kLossFactorMax = 3;

double pixels(Size size) { return static_cast<double>(size.width) * size.height; }

}  // namespace

const ServicePoint* find_run_point(const DeviceProfile& profile, std::size_t decoders) {
  for (const ServicePoint& point : profile.points) {
    if (point.batch == profile.knee_batch && point.streams == profile.run_streams &&
        point.decoders == decoders) {
      return &point;
    }
  }
  return nullptr;
}

namespace {

/// How many times the processor time of decoding the model lost beside the most cameras.
double loss_factor(const DeviceProfile& profile) {
  const ServicePoint* const alone = find_run_point(profile, 0);
  if (alone == nullptr || alone->frames_per_s <= 0 || !profile.camera) return kLossFactorMin;
  const ServicePoint* most = nullptr;
  for (const ServicePoint& point : profile.points) {
    if (point.decoders == 0 || point.batch != alone->batch || point.streams != alone->streams)
      continue;
    if (most == nullptr || point.decoders > most->decoders) most = &point;
  }
  if (most == nullptr) return kLossFactorMin;
  const double lost = alone->cpu_cores * (1 - most->frames_per_s / alone->frames_per_s);
  const double decoding =
      static_cast<double>(most->decoders) * profile.camera->fps * profile.camera->decode_s;
  return std::clamp(lost / decoding, kLossFactorMin, kLossFactorMax);
}

}  // namespace

std::optional<double> decode_core_s(const std::vector<DecodeRate>& rates, std::string_view codec,
                                    Size size) {
  const DecodeRate* nearest = nullptr;
  double distance = 0;
  for (const DecodeRate& rate : rates) {
    if (rate.codec != codec) continue;
    const double away = std::abs(std::log(pixels(rate.size) / pixels(size)));
    if (nearest != nullptr && away >= distance) continue;
    nearest = &rate;
    distance = away;
  }
  if (nearest == nullptr) return std::nullopt;
  return pixels(size) / pixels(nearest->size) / nearest->frames_per_core_s;
}

double cores_beside(const DeviceProfile& profile, std::span<const CamerasBeside> cameras) {
  const double factor = loss_factor(profile);
  const CameraCost camera = profile.camera.value_or(CameraCost{});
  double cores = 0;
  for (const CamerasBeside& group : cameras) {
    const double decode_s =
        decode_core_s(profile.decode, group.codec, group.size).value_or(camera.decode_s);
    const double sample_s =
        group.is_carried ? camera.carry_s * factor + camera.carried_sample_s : camera.sample_s;
    cores += group.count * (group.fps * decode_s * factor + group.rate_hz * sample_s);
  }
  return cores;
}

CamerasBeside cameras_of(const DeviceProfile& profile, const RunPoint& run) {
  // Without a codec: of the clip that `camera` was measured with.
  return {.count = static_cast<double>(run.cameras),
          .fps = profile.camera ? profile.camera->fps : 0,
          .rate_hz = run.rate_hz};
}

ModelCores model_cores(const DeviceProfile& profile, std::size_t in_flight) {
  ModelCores cores;
  for (const ServicePoint& point : profile.points) {
    if (point.decoders == 0) cores.all = std::max(cores.all, point.cpu_cores);
  }
  const ServicePoint* const full = find_run_point(profile, 0);
  if (full == nullptr || profile.run_streams == 0) return cores;
  cores.busy = full->cpu_cores * static_cast<double>(std::min(in_flight, profile.run_streams)) /
               static_cast<double>(profile.run_streams);
  return cores;
}

}  // namespace framemill
