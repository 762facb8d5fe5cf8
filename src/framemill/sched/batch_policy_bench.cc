// What a question to the policy costs: the simulator asks up to a million times a second, the
// engine at each arrival and completion.

#include <random>
#include <vector>

#include <benchmark/benchmark.h>

#include "framemill/sched/batch_policy.h"

namespace framemill {
namespace {

using namespace std::chrono_literals;

struct Question {
  std::vector<WaitingFrame> waiting;
  std::vector<ExpectedArrival> expected;
  BatchPolicy policy;
  std::vector<ServiceTimes> times;
};

/// `waiting` frames of as many cameras, and as many cameras again that are expected.
Question make_question(std::size_t waiting, std::size_t knee, std::uint32_t models) {
  std::mt19937 rng(1);
  std::uniform_int_distribution<std::int64_t> up_to_100_ms(0, 100'000'000);
  Question question{.policy = {.knee_frames = knee}, .times = std::vector<ServiceTimes>(models)};
  for (ServiceTimes& times : question.times)
    for (const std::size_t bucket : kBatchBuckets)
      times.seed(bucket, 6ms + 1ms * static_cast<int>(bucket));
  for (CameraIndex camera = 0; camera < waiting; ++camera) {
    const TimePoint captured_at(1h - Duration(up_to_100_ms(rng)));
    question.waiting.push_back(
        {.camera = camera,
         .model = camera % models,
         .priority = camera % 10 == 0 ? Priority::kCritical : Priority::kNormal,
         .arrived_at = captured_at,
         .deadline = captured_at + 200ms,
         .served_until = captured_at - Duration(up_to_100_ms(rng))});
    question.expected.push_back(
        {.model = camera % models, .at = TimePoint(1h + Duration(up_to_100_ms(rng)))});
  }
  return question;
}

void decide_with_scratch(benchmark::State& state) {
  const Question question = make_question(static_cast<std::size_t>(state.range(0)),
                                          static_cast<std::size_t>(state.range(1)),
                                          static_cast<std::uint32_t>(state.range(2)));
  const DeviceState device{.batches_in_flight = static_cast<std::size_t>(state.range(3))};
  BatchScratch scratch;
  BatchDecision decision;
  for (auto _ : state) {
    decide_batch(question.waiting, question.expected, TimePoint(1h), question.policy,
                 question.times, device, scratch, decision);
    benchmark::DoNotOptimize(decision);
  }
  state.SetItemsProcessed(state.iterations());
}
BENCHMARK(decide_with_scratch)
    ->ArgNames({"waiting", "knee", "models", "in_flight"})
    ->ArgsProduct({{1, 5, 50, 500, 5000}, {1, 8}, {1}, {1}})
    ->Args({50, 8, 4, 1})
    ->Args({5, 1, 1, 2})
    ->Args({50, 1, 1, 2});

void decide_simple_form(benchmark::State& state) {
  const Question question = make_question(static_cast<std::size_t>(state.range(0)), 8, 1);
  for (auto _ : state)
    benchmark::DoNotOptimize(decide_batch(question.waiting, question.expected, TimePoint(1h),
                                          question.policy, question.times, {}));
  state.SetItemsProcessed(state.iterations());
}
BENCHMARK(decide_simple_form)->ArgName("waiting")->Arg(1)->Arg(5)->Arg(50)->Arg(500)->Arg(5000);

void record_and_read_service_times(benchmark::State& state) {
  ServiceTimes times;
  for (const std::size_t bucket : kBatchBuckets) times.seed(bucket, 10ms);
  std::size_t bucket = 1;
  for (auto _ : state) {
    times.record(bucket, 12ms);
    benchmark::DoNotOptimize(times.p95(1));
    bucket = bucket % 8 + 1;
  }
}
BENCHMARK(record_and_read_service_times);

}  // namespace
}  // namespace framemill
