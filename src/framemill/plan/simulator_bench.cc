// Events a second of the simulator on one core: `./simulator_bench`.

#include <benchmark/benchmark.h>

#include "framemill/plan/simulated_device.h"

namespace framemill {
namespace {

using namespace std::chrono_literals;

/// A GPU of 1333 inferences a second at batch 8, or a CPU of 67 with a knee of 1.
ServiceDraws service_model(bool is_gpu) {
  DeviceProfile profile{.model = "m.onnx"};
  profile.run_streams = 2;
  profile.knee_batch = is_gpu ? 8 : 1;
  LatencyDistribution distribution;
  for (int i = 0; i <= 100; ++i) {
    distribution.percentiles.push_back(from_seconds((is_gpu ? .012 : .030) * (.9 + .002 * i)));
  }
  profile.points = {{.batch = profile.knee_batch, .streams = 2, .service = distribution}};
  return *ServiceDraws::create(profile);
}

/// Arguments: is it a GPU, cameras of 10/s on it, is the policy adaptive.
void simulate_a_minute(benchmark::State& state) {
  SimulatedDevice device;
  device.lanes = {service_model(state.range(0) != 0)};
  const PolicyKind policy = state.range(2) != 0 ? PolicyKind::kAdaptive : PolicyKind::kFull;
  device.cameras.assign(static_cast<std::size_t>(state.range(1)),
                        {.dispatch = {.policy = policy, .slo = 200ms, .period = 100ms}});
  std::int64_t events = 0;
  for (auto _ : state) events += simulate_device(device).events;
  state.counters["events"] =
      benchmark::Counter(static_cast<double>(events), benchmark::Counter::kIsRate);
}
BENCHMARK(simulate_a_minute)
    ->ArgNames({"gpu", "cameras", "adaptive"})
    ->Args({0, 5, 0})
    ->Args({0, 13, 0})
    ->Args({0, 50, 0})
    ->Args({0, 50, 1})
    ->Args({1, 50, 0})
    ->Args({1, 100, 0})
    ->Args({1, 250, 0})
    ->Args({1, 250, 1});

}  // namespace
}  // namespace framemill
