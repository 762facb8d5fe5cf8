// What an engine at pace live does before its cameras start: each model runs until its times and
// its best batch are known.
#include <algorithm>
#include <future>
#include <utility>

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include "framemill/core/grey_picture.h"
#include "framemill/engine/engine_state.h"
#include "framemill/engine/model_ladder.h"
#include "framemill/sched/batch_autosizer.h"

namespace framemill {
namespace {

/// Of pictures, until a camera has shown one.
constexpr Size kUsualSize{1920, 1080};
/// How long a model may take at the start to find its best batch.
constexpr Duration kKneePatience = std::chrono::milliseconds(1500);

}  // namespace

void Engine::State::make_ready(DeviceIndex device, LaneIndex lane, std::size_t largest) {
  if (pool->name(device).starts_with("CPU")) return;
  const TimePoint begin = clock.now();
  std::vector<std::future<Result<void>>> buckets;
  for (const std::size_t bucket : kBatchBuckets) {
    if (bucket > std::min(largest, pool->batch_max(lane))) break;
    buckets.push_back(std::async(std::launch::async, [this, device, lane, bucket] {
      return pool->warm_up(device, lane, bucket, pool->batches_max(device));
    }));
  }
  for (auto& bucket : buckets) bucket.wait();  // what failed says so again when it is measured
  const Duration took = clock.now() - begin;
  if (constexpr auto kWorthALine = std::chrono::seconds(1); took >= kWorthALine)
    spdlog::info("{}: batches of up to {} made ready on {} in {:.1f} s", pool->variant(lane),
                 kBatchBuckets[buckets.size() - 1], pool->name(device), to_seconds(took));
}

Result<Duration> Engine::State::measure(DeviceIndex device, LaneIndex lane, std::size_t batch,
                                        ServiceTimes& times) {
  // As many at a time as will run at a time, a few rounds: the first estimate of the service time.
  const std::size_t batches = pool->batches_max(device);
  if (Result<void> warm = pool->warm_up(device, lane, batch, batches); !warm) {
    return fail(warm.error());
  }
  constexpr int kRounds = 3;
  const InferenceJob job{.frame_index = -1, .picture = make_grey_picture({64, 64}, 114)};

  Mutex done_mu;
  CondVar done;
  std::optional<Error> error;
  Duration fastest = Duration::max();
  for (int round = 0; round < kRounds; ++round) {
    std::size_t open = batches;
    Duration slowest{0};
    const auto on_done = [&](BatchOutcome&& outcome) {
      const MutexLock lock(done_mu);
      if (!outcome.detections) error = outcome.detections.error();
      slowest = std::max(slowest, outcome.service_time);
      --open;
      done.notify_all();
    };
    for (std::size_t i = 0; i < batches; ++i) {
      pool->submit(device, lane, std::vector<InferenceJob>(batch, job), on_done);
    }
    const MutexLock lock(done_mu);
    while (open > 0) done.wait(done_mu);
    if (error) return fail(*error);
    if (round > 0) times.record(batch, slowest);
    fastest = std::min(fastest, slowest);
  }
  return fastest;
}

Result<std::size_t> Engine::State::measure_knee(DeviceIndex device, LaneIndex lane,
                                                ServiceTimes& times) {
  const TimePoint give_up_at = clock.now() + kKneePatience;
  KneeSearch search(pool->batch_max(lane));
  for (std::size_t largest = 1; const std::optional<std::size_t> batch = search.next();) {
    const bool is_needed = *batch == 1 && largest == 1;
    if (!is_needed && (clock.now() >= give_up_at || is_stop_wanted())) break;
    const Result<Duration> time = measure(device, lane, *batch, times);
    if (!time && is_needed) return fail(time.error());
    if (!time) {  // such as too little memory
      spdlog::warn("batches of {} cannot be run: {}", *batch, time.error().message());
      break;
    }
    largest = std::max(largest, *batch);
    search.record(*time);
  }
  pool->unload_larger(device, lane, search.knee());
  return search.knee();
}

void Engine::State::prepare_models(FrameSchedulerOptions& options) {
  for (std::size_t model = 0; model < settings.models.size(); ++model) {
    const std::string& name = settings.models[model].name;
    std::vector<Duration> costs;
    for (const std::size_t detector : ladders[model]) {
      costs.push_back(Duration::zero());
      const ModelFacts& facts = pool->detector(detector).facts();
      // Models of any size get their lanes when the cameras' sizes are known; rungs have to be
      // compared before.
      if (!facts.input && ladders[model].size() == 1) {
        unmeasured_models.insert(model);
        continue;
      }
      const LaneIndex lane = pool->lane_for(detector, facts.input.value_or(kUsualSize));
      costs.back() = prepare_lane(name, lane, options);
    }
    std::vector<std::size_t>& rungs = options.ladders.emplace_back();
    const std::vector<std::size_t> kept = find_cheaper_rungs(costs);
    for (std::size_t i = 0; i < ladders[model].size(); ++i) {
      const std::size_t detector = ladders[model][i];
      if (std::ranges::find(kept, i) != kept.end()) {
        rungs.push_back(detector);
      } else {
        spdlog::warn("model {}: {} is left out of the ladder: it is no cheaper than the rung above",
                     name, pool->detector(detector).facts().name);
      }
    }
    ladders[model] = rungs;
  }
}

Duration Engine::State::prepare_lane(const std::string& model, LaneIndex lane,
                                     FrameSchedulerOptions& options) {
  Duration least{0};
  const DeviceSet hosts = pool->hosts_of_lane(lane);
  options.devices.resize(pool->device_count());
  for (DeviceIndex i = 0; i < pool->device_count(); ++i) {
    if (!has_device(hosts, i) || is_stop_wanted()) continue;
    DispatchDevice& device = options.devices[i];
    const std::string where =
        pool->device_count() > 1 ? fmt::format(" on {}", pool->name(i)) : std::string();
    const std::string variant = pool->variant(lane);
    if (const Result<void> prepared = prepare_lane(i, lane, device); !prepared) {
      spdlog::warn("model {}: {}: warming up{} failed: {}", model, variant, where,
                   prepared.error().message());
      continue;
    }
    const std::size_t batch = std::max<std::size_t>(1, device.lane_knees[lane]);
    const Duration time = device.lane_times[lane].mean(batch) / static_cast<Duration::rep>(batch);
    if (least == Duration::zero() || time < least) least = time;
    const bool is_knee = settings.engine.batch == "knee";
    const std::size_t most = is_knee ? batch : std::min(batch_max(), pool->batch_max(lane));
    longest_service = std::max(longest_service, device.lane_times[lane].p95(most));
    spdlog::info("model {}: {}: {:.1f} ms an inference, {} in parallel{}{}", model, variant,
                 to_ms(device.lane_times[lane].mean(1)), pool->batches_max(i), where,
                 batch > 1 ? fmt::format(", batches of {}", batch) : "");
  }
  return least;
}

Result<void> Engine::State::prepare_lane(DeviceIndex device, LaneIndex lane, DispatchDevice& to) {
  ServiceTimes times;
  std::size_t knee = 0;
  const std::size_t largest = std::min(batch_max(), pool->batch_max(lane));
  make_ready(device, lane, settings.engine.batch == "knee" ? kBatchBuckets.back() : largest);
  if (settings.engine.batch == "knee") {
    const Result<std::size_t> found = measure_knee(device, lane, times);
    if (!found) return fail(found.error());
    knee = *found;
  } else {
    if (const Result<Duration> time = measure(device, lane, 1, times); !time)
      return fail(time.error());
    for (const std::size_t bucket : kBatchBuckets) {
      if (bucket == 1 || bucket > largest) continue;
      const std::size_t count = bucket == largest ? pool->batches_max(device) : 1;
      if (Result<void> warm = pool->warm_up(device, lane, bucket, count); !warm) return warm;
    }
  }
  to.lane_times.resize(std::max<std::size_t>(to.lane_times.size(), lane + 1));
  to.lane_knees.resize(to.lane_times.size());
  to.lane_times[lane] = times;
  to.lane_knees[lane] = knee;
  return {};
}

}  // namespace framemill
