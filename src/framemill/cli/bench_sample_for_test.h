#pragma once

#include <string>

#include "framemill/sched/device_profile.h"

namespace framemill {

/// Milliseconds to each of the 101 quantiles: `ms` at 50 %.
[[nodiscard]] inline ServicePoint sample_point(std::size_t batch, std::size_t streams,
                                               std::size_t decoders, double ms) {
  ServicePoint point{.batch = batch, .streams = streams, .decoders = decoders};
  point.frames_per_s = static_cast<double>(batch * streams) * 1000 / ms;
  for (int i = 0; i <= 100; ++i)
    point.service.percentiles.push_back(from_seconds(ms / 1000 * (.75 + i / 200.0)));
  point.cpu_cores = 1.5;
  point.host_bytes = 120'000'000;
  point.spread = .04;
  return point;
}

[[nodiscard]] inline DeviceProfile sample_profile() {
  DeviceProfile profile{.device = "CPU",
                        .device_name = "Fast 9000",
                        .model = "gate.onnx",
                        .model_sha256 = std::string(64, 'a'),
                        .precision = "int8",
                        .input = {640, 384}};
  profile.environment = {
      {"runtime", "OpenVINO 1"}, {"kernel", "Linux 6"}, {"other_load_cores", "0"}};
  profile.knee_streams = profile.run_streams = 2;
  profile.points = {sample_point(1, 1, 0, 10), sample_point(1, 2, 0, 16), sample_point(2, 2, 0, 32),
                    sample_point(1, 2, 8, 20)};
  profile.runs = {
      {.cameras = 4,
       .rate_hz = 10,
       .frames_per_s = 39.8,
       .batches = {
           {.batch = 1, .in_flight = 2, .count = 7, .service = sample_point(1, 2, 0, 17).service},
           {.batch = 1,
            .in_flight = 1,
            .count = 200,
            .service = sample_point(1, 2, 0, 20).service}}}};
  profile.decode = {{.codec = "h264", .size = {640, 360}, .frames_per_core_s = 1500}};
  return profile;
}

}  // namespace framemill
