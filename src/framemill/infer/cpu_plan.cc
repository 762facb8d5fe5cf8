#include "framemill/infer/cpu_plan.h"

#include <algorithm>
#include <fstream>

#include "framemill/infer/cpu_quota.h"

namespace framemill {
namespace {

// Streams and threads of a CPU: one stream a core with one thread each, so that no core
// of an inference ever waits for another one, and requests of different cameras run side by side.
//
// Measured on 2 busy cores (AMD EPYC, AVX2 without VNNI, OpenVINO 2026.4.1; CPU-milliseconds an
// inference, because other work shared the machine), 1 stream of 2 threads / 2 streams of 1
// thread:
//   YOLO11n INT8 640x640 62 / 62, 640x384 37-40 / 36-39, 512x288 22-23 / 22-23; with both cores
//   pinned and a second request waiting, one stream cost 46 at 640x384. No setting spins: the
//   difference to a bare OpenVINO loop is below the noise of 5 %.
// A stream costs some 25 MB, so above kLoneStreamsMax cores two threads share one; that part is
// not measured.
constexpr std::size_t kLoneStreamsMax = 8;

}  // namespace

CpuPlan plan_cpu(std::size_t streams, std::size_t threads) {
  CpuPlan plan;
  plan.threads = threads > 0 ? threads : usable_core_count();
  plan.streams = streams > 0                       ? streams
                 : plan.threads <= kLoneStreamsMax ? plan.threads
                                                   : plan.threads / 2;
  plan.threads = std::max(plan.threads, plan.streams);
  return plan;
}

std::string cpu_name() {
  std::ifstream info("/proc/cpuinfo");
  for (std::string line; std::getline(info, line);) {
    if (!line.starts_with("model name")) continue;
    const std::size_t start = line.find_first_not_of(": \t", line.find(':'));
    if (start != std::string::npos) return line.substr(start);
  }
  return "CPU";
}

}  // namespace framemill
