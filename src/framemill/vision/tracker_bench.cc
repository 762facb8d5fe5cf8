#include <random>

#include <benchmark/benchmark.h>

#include "framemill/vision/tracker.h"

namespace framemill {
namespace {

/// Objects on a walk at 10 Hz, as dense as the number in a 1280x720 picture makes them.
void TrackerUpdate(benchmark::State& state) {
  std::mt19937 rng(1);
  std::uniform_real_distribution<float> unit(0, 1);
  std::vector<Detection> objects(static_cast<std::size_t>(state.range(0)));
  for (Detection& d : objects) {
    const float x = unit(rng) * 1240, y = unit(rng) * 620;
    d = {.score = 0.3F + 0.6F * unit(rng), .box = {x, y, x + 40, y + 100}};
  }
  Tracker tracker({});
  double time_s = 0;
  for (auto _ : state) {
    for (Detection& d : objects) {
      const float step = unit(rng) - 0.5F;
      d.box.x1 += step;
      d.box.x2 += step;
    }
    tracker.update(time_s += 0.1, objects);
    benchmark::DoNotOptimize(objects.data());
  }
}
BENCHMARK(TrackerUpdate)->Arg(5)->Arg(20)->Arg(100)->Arg(300)->Unit(benchmark::kMicrosecond);

}  // namespace
}  // namespace framemill
