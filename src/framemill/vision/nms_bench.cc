#include <random>

#include <benchmark/benchmark.h>

#include "framemill/vision/nms.h"

namespace framemill {
namespace {

void NmsRandom(benchmark::State& state) {
  std::mt19937 rng(1);
  std::uniform_real_distribution<float> unit(0, 1);
  std::vector<Detection> set(static_cast<std::size_t>(state.range(0)));
  for (Detection& d : set) {
    const float x = unit(rng) * 560, y = unit(rng) * 560;
    d = {.class_id = static_cast<int>(rng() % 4),
         .score = unit(rng),
         .box = {x, y, x + 20 + unit(rng) * 60, y + 20 + unit(rng) * 60}};
  }
  for (auto _ : state) {
    std::vector<Detection> work = set;
    nms(work, 0.65F);
    benchmark::DoNotOptimize(work.data());
  }
}
BENCHMARK(NmsRandom)->Arg(100)->Arg(300)->Arg(3000)->Arg(30'000)->Unit(benchmark::kMicrosecond);

/// 299 boxes are kept at once, and the other candidates are compared with all of them.
void NmsWorst(benchmark::State& state) {
  std::vector<Detection> set;
  for (int i = 0; i < 299; ++i) {
    const auto x = static_cast<float>(i * 100);
    set.push_back({.score = 0.9F, .box = {x, 0, x + 50, 50}});
  }
  const Box last = set.back().box;
  set.resize(30'000, {.score = 0.5F, .box = last});
  for (auto _ : state) {
    std::vector<Detection> work = set;
    nms(work, 0.65F);
    benchmark::DoNotOptimize(work.data());
  }
}
BENCHMARK(NmsWorst)->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace framemill
