#include <algorithm>
#include <random>

#include <benchmark/benchmark.h>

#include "framemill/vision/yolo_head.h"
#include "framemill/vision/yolo_head_rows.h"

namespace framemill {
namespace {

/// Scores as a model gives them on a busy picture: nearly all tiny, about 100 candidates over .1.
std::vector<float> make_output(const HeadSpec& spec) {
  std::mt19937 rng(1);
  std::uniform_real_distribution<float> unit(0, 1);
  std::vector<float> output(static_cast<std::size_t>(spec.candidate_count) *
                            value_count_per_candidate(spec));
  for (float& value : output) value = unit(rng) * 1e-3F;
  const auto count = static_cast<std::size_t>(spec.candidate_count);
  const std::size_t columns = value_count_per_candidate(spec);
  const bool is_class_major = spec.kind == HeadKind::kV8 && !spec.is_transposed;
  for (std::size_t i = 0; i < count; i += count / 100)
    for (const std::size_t c : {std::size_t{2}, std::size_t{3}, std::size_t{4}, 5 + i % 70})
      output[is_class_major ? c * count + i : i * columns + c] = 0.5F;
  return output;
}

void run(benchmark::State& state, const HeadSpec& spec) {
  // Several items in turn: a model's output does not come from the first-level cache.
  const std::vector<std::vector<float>> outputs(4, make_output(spec));
  std::vector<Detection> candidates;
  std::size_t turn = 0;
  for (auto _ : state) {
    decode_head(spec, outputs[turn++ % outputs.size()], 0.1F, candidates);
    benchmark::DoNotOptimize(candidates.data());
  }
  state.counters["candidates"] = static_cast<double>(candidates.size());
}

void DecodeV8(benchmark::State& state) {
  run(state, {.kind = HeadKind::kV8,
              .class_count = 80,
              .candidate_count = static_cast<int>(state.range(0)),
              .is_transposed = state.range(1) != 0,
              .input = {640, 640}});
}
BENCHMARK(DecodeV8)
    ->ArgNames({"N", "transposed"})
    ->Args({8400, 0})
    ->Args({5040, 0})
    ->Args({3640, 0})
    ->Args({8400, 1})
    ->Unit(benchmark::kMicrosecond);

void DecodeV5(benchmark::State& state) {
  run(state,
      {.kind = HeadKind::kV5, .class_count = 80, .candidate_count = 25200, .input = {640, 640}});
}
BENCHMARK(DecodeV5)->Unit(benchmark::kMicrosecond);

void DecodeYolox(benchmark::State& state) {
  run(state,
      {.kind = HeadKind::kYolox, .class_count = 80, .candidate_count = 3549, .input = {416, 416}});
}
BENCHMARK(DecodeYolox)->Unit(benchmark::kMicrosecond);

void MaxOverRows(benchmark::State& state) {
  const auto simd = static_cast<RowsSimd>(state.range(0));
  if (!is_available(simd)) {
    state.SkipWithError("not on this CPU");
    return;
  }
  const std::vector<float> rows(80 * 8400, 0.25F);
  std::vector<float> best(8400);
  for (auto _ : state) {
    max_over_rows(rows.data(), 8400, 80, 8400, best.data(), simd);
    benchmark::DoNotOptimize(best.data());
  }
}
BENCHMARK(MaxOverRows)
    ->ArgName("simd")
    ->Arg(static_cast<int>(RowsSimd::kPortable))
    ->Arg(static_cast<int>(RowsSimd::kAvx2))
    ->Unit(benchmark::kMicrosecond);

}  // namespace
}  // namespace framemill
