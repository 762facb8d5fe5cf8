#include "framemill/engine/device_pool.h"

#include <algorithm>
#include <bit>
#include <cstdint>
#include <utility>

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <spdlog/spdlog.h>

#include "framemill/base/check.h"
#include "framemill/base/thread_name.h"
#include "framemill/core/grey_picture.h"

namespace framemill {
namespace {

/// Batches that fail are told so often; the others are counted.
constexpr Duration kTellErrorsEvery = std::chrono::seconds(10);

std::string explain(OutReason reason, const std::string& last_error) {
  switch (reason) {
    case OutReason::kErrors:
      return fmt::format("batches fail on it: {}", last_error);
    case OutReason::kHung:
      return "a batch has not come back from it";
    case OutReason::kGone:
      return fmt::format("it is gone: {}", last_error);
    case OutReason::kNone:
      break;
  }
  return {};
}

/// A processor does not hang; other work may starve it for a while, and what it owes comes.
constexpr Duration kProcessorHangLeast = std::chrono::seconds(20);

/// Of a device that is out, before its models are loaded anew.
constexpr int kProbesBeforeLoad = 2;

/// How often, and how often at most, it is asked whether a pool that was replaced owes anything.
constexpr Duration kLookAtReplacedEvery = std::chrono::milliseconds(100);
constexpr int kLooksAtReplaced = 20;

/// Threads that put pictures into batches and read their answers, for a graphics device.
constexpr std::size_t kPictureThreadsMax = 8;

/// Also of a device that shares its graphs with the processor ("HETERO:GPU,CPU").
bool is_processor(const std::string& device) { return device.find("CPU") != std::string::npos; }

DeviceHealthPolicy health_of(const std::string& device, DeviceHealthPolicy policy) {
  if (is_processor(device)) policy.hang_least = std::max(policy.hang_least, kProcessorHangLeast);
  return policy;
}

/// Whether it is the model's file that was changed, and not the device that fails.
bool is_file_error(ErrorCode code) {
  return code == ErrorCode::kFailedPrecondition || code == ErrorCode::kNotFound ||
         code == ErrorCode::kInvalidArgument;
}

std::optional<ErrorCode> code_of(const BatchOutcome& outcome) {
  return outcome.detections ? std::nullopt : std::optional(outcome.detections.error().code());
}

}  // namespace

std::string_view to_string(OutReason reason) {
  switch (reason) {
    case OutReason::kErrors:
      return "errors";
    case OutReason::kHung:
      return "hung";
    case OutReason::kGone:
      return "gone";
    case OutReason::kNone:
      break;
  }
  return "none";
}

std::int64_t DeviceReport::model_outages() const {
  std::int64_t sum = 0;
  for (const auto& rungs : hosted)
    for (const HostedModel& model : rungs) sum += model.outages;
  return sum;
}

void DevicePool::Work::add(const DetectorPool& pool) {
  batches += pool.batches();
  frames += pool.batched_frames();
  inference_time += pool.inference_time();
}

DevicePool::DevicePool(std::vector<std::shared_ptr<const Detector>> detectors, const Clock& clock)
    : DevicePool({{detectors.front()->facts().device, detectors}}, clock) {}

DevicePool::DevicePool(std::vector<PooledDevice> devices, const Clock& clock, Options options)
    : clock_(clock), options_(std::move(options)), devices_(devices.size()) {
  CHECK(!devices.empty() && devices.size() <= kDevicesMax);
  hosts_.resize(devices.front().detectors.size());
  for (std::size_t i = 0; i < devices.size(); ++i) {
    PooledDevice& given = devices[i];
    CHECK(given.detectors.size() == hosts_.size());
    for (std::size_t model = 0; model < hosts_.size(); ++model)
      if (given.detectors[model] != nullptr) hosts_[model] |= DeviceSet{1} << i;
    const DeviceHealthPolicy health = health_of(given.name, options_.health);
    names_.push_back(std::move(given.name));
    Device& device = devices_[i];
    device.detectors = given.detectors;
    device.pool = make_pool(std::move(given.detectors));
    device.health = std::make_unique<DeviceHealth>(health, kBatchBuckets.back());
    device.inferences.resize(hosts_.size());
    batches_max_.push_back(device.pool->batches_max());
  }
  CHECK(std::ranges::none_of(hosts_, [](DeviceSet hosts) { return hosts == 0; }));
  memory_look_at_ = clock_.now() + options_.look_at_memory_every;
  watcher_ = std::thread([this] { watch(); });
}

DevicePool::~DevicePool() { stop(std::chrono::hours(1)); }

std::shared_ptr<DetectorPool> DevicePool::make_pool(
    std::vector<std::shared_ptr<const Detector>> detectors) const {
  std::size_t threads = 1;
  for (const auto& detector : detectors) {
    if (detector == nullptr) continue;
    threads = std::max(threads, detector->facts().parallel_requests);
    if (is_processor(detector->facts().device)) continue;
    // A processor's inferences take its cores themselves; on a graphics device they are free for
    // the pictures of large batches.
    const std::size_t half = std::thread::hardware_concurrency() / 2;
    threads = std::max(threads, std::min(kPictureThreadsMax, half));
  }
  return std::make_shared<DetectorPool>(std::move(detectors), threads, clock_, options_.cache);
}

// ---- lanes

const Detector& DevicePool::detector(std::size_t model) const {
  const auto host = static_cast<std::size_t>(std::countr_zero(hosts_[model]));
  return *devices_[host].detectors[model];  // never replaced
}

std::vector<std::shared_ptr<const Detector>> DevicePool::detectors_by_model() const {
  std::vector<std::shared_ptr<const Detector>> detectors;
  for (std::size_t model = 0; model < hosts_.size(); ++model) {
    for (const Device& device : devices_)
      if (device.detectors[model] != nullptr) detectors.push_back(device.detectors[model]);
  }
  return detectors;
}

std::string DevicePool::variant(LaneIndex lane) const {
  const MutexLock lock(mu_);
  return detector(lanes_[lane].model).variant_name(lanes_[lane].input);
}

DeviceSet DevicePool::hosts_of_lane(LaneIndex lane) const {
  const MutexLock lock(mu_);
  return hosts_[lanes_[lane].model];
}

LaneIndex DevicePool::lane_for(std::size_t model, Size picture_size) {
  const Size input = detector(model).input_for(picture_size);
  const MutexLock lock(mu_);
  for (std::size_t i = 0; i < lanes_.size(); ++i)
    if (lanes_[i].model == model && lanes_[i].input == input) return static_cast<LaneIndex>(i);
  lanes_.push_back({model, input, picture_size});
  for (DeviceIndex i = 0; i < devices_.size(); ++i) {
    Device& device = devices_[i];
    const bool is_host = has_device(hosts_[model], i);
    device.lanes.push_back(is_host ? device.pool->lane_for(model, picture_size) : 0);
    device.times.emplace_back();
    device.unloaded.push_back(0);
    device.facts.emplace_back();
  }
  return static_cast<LaneIndex>(lanes_.size() - 1);
}

std::size_t DevicePool::lane_count() const {
  const MutexLock lock(mu_);
  return lanes_.size();
}

std::size_t DevicePool::batches_max() const {
  std::size_t sum = 0;
  for (const std::size_t batches : batches_max_) sum += batches;
  return sum;
}

std::size_t DevicePool::batch_max(LaneIndex lane) const {
  std::size_t model = 0;
  {
    const MutexLock lock(mu_);
    model = lanes_[lane].model;
  }
  std::size_t largest = 1;
  for (const std::size_t bucket : kBatchBuckets)
    if (bucket <= detector(model).facts().batch_max) largest = bucket;
  return largest;
}

Result<void> DevicePool::warm_up(DeviceIndex index, LaneIndex lane, std::size_t batch,
                                 std::size_t count) {
  const auto [pool, own] = lane_of(index, lane);
  return pool->warm_up(own, batch, count);
}

void DevicePool::unload_larger(DeviceIndex index, LaneIndex lane, std::size_t batch) {
  const auto [pool, own] = lane_of(index, lane);
  {
    const MutexLock lock(mu_);
    devices_[index].unloaded[lane] = batch;
  }
  pool->unload_larger(own, batch);
}

std::pair<std::shared_ptr<DetectorPool>, LaneIndex> DevicePool::lane_of(DeviceIndex index,
                                                                        LaneIndex lane) const {
  const MutexLock lock(mu_);
  return {devices_[index].pool, devices_[index].lanes[lane]};
}

// ---- batches

Duration DevicePool::expected(const Device& device, LaneIndex lane, std::size_t frames) const {
  const ServiceTimes& times = device.times[lane];
  const std::size_t bucket = bucket_for(frames);
  // What was seen says nothing where something may have to be compiled once more: memory was short
  // and the model unloaded, or the request that was there failed.
  const bool is_ready = device.pool->is_ready(device.lanes[lane], bucket);
  return is_ready ? times.mean(bucket) : Duration::zero();
}

std::optional<DeviceIndex> DevicePool::device_for(DeviceIndex index, LaneIndex lane) const {
  const DeviceHealth& health = *devices_[index].health;
  if (health.may_serve(lane)) return index;
  std::optional<DeviceIndex> best;
  if (!health.may_serve()) return best;  // whoever sent it is about to see that, and decides anew
  for (DeviceIndex i = 0; i < devices_.size(); ++i) {
    const DeviceHealth& other = *devices_[i].health;
    if (!has_device(hosts_[lanes_[lane].model], i) || !other.may_serve(lane)) continue;
    if (!best || other.in_flight() < devices_[*best].health->in_flight()) best = i;
  }
  return best;
}

bool DevicePool::is_lane_out(LaneIndex lane) const {
  if (lanes_out_ == 0) return false;
  const MutexLock lock(mu_);
  bool is_any_serving = false;
  for (DeviceIndex i = 0; i < devices_.size(); ++i) {
    if (!has_device(hosts_[lanes_[lane].model], i)) continue;
    if (devices_[i].health->may_serve(lane)) return false;
    is_any_serving |= devices_[i].health->may_serve();
  }
  return is_any_serving;
}

void DevicePool::submit(DeviceIndex meant, LaneIndex lane, std::vector<InferenceJob> jobs,
                        Done done) {
  CHECK(!jobs.empty());
  DeviceIndex index = meant;
  std::shared_ptr<DetectorPool> pool;
  LaneIndex own = 0;
  std::uint64_t id = 0;
  bool is_watcher_late = false;
  {
    const MutexLock lock(mu_);
    if (const std::optional<DeviceIndex> chosen = device_for(meant, lane)) {
      index = *chosen;
      Device& device = devices_[index];
      id = next_id_++;
      const Duration usual = expected(device, lane, jobs.size());
      // What runs, and may not fit, is the bucket.
      device.health->started(id, lane, bucket_for(jobs.size()), clock_.now(), usual);
      flights_.emplace(id, Flight{index, lane, jobs, std::move(done)});
      pool = device.pool;
      own = device.lanes[lane];
      const std::optional<TimePoint> wake_at = device.health->wake_at();
      is_watcher_late = wake_at && (!wake_at_ || *wake_at < *wake_at_);
    }
  }
  if (pool == nullptr) {
    done({std::move(jobs),
          fail(ErrorCode::kUnavailable, fmt::format("{} is out, or fails with it", names_[index])),
          std::make_shared<const std::string>(), Duration::zero()});
    return;
  }
  if (is_watcher_late) changed_.notify_all();
  pool->submit(own, std::move(jobs), [this, id, index](BatchOutcome&& outcome) {
    on_done(id, index, std::move(outcome));
  });
}

void DevicePool::on_done(std::uint64_t id, DeviceIndex index, BatchOutcome&& outcome) {
  Deferred deferred;
  Done done;
  {
    const MutexLock lock(mu_);
    Device& device = devices_[index];
    const TimePoint now = clock_.now();
    const auto flight = flights_.find(id);
    const bool is_owed = flight != flights_.end();
    if (is_owed) {
      const std::size_t frames = outcome.jobs.size();
      if (outcome.detections) {
        device.times[flight->second.lane].record(bucket_for(frames), outcome.service_time);
        auto& counts = device.inferences[lanes_[flight->second.lane].model];
        for (const InferenceJob& job : outcome.jobs)
          if (job.frame_index >= 0) ++counts[static_cast<std::size_t>(job.purpose)];
      } else if (outcome.detections.error().code() != ErrorCode::kCancelled) {
        tell_error(index, flight->second.lane, frames, outcome.detections.error(), deferred);
      }
      done = std::move(flight->second.done);
      flights_.erase(flight);
    }
    const std::size_t batch_max = device.health->batch_max();
    const DeviceHealth::Change change = device.health->finished(id, now, code_of(outcome));
    if (device.health->batch_max() < batch_max) {
      ++version_;
      deferred.emplace_back([name = names_[index], left = device.health->batch_max()] {
        spdlog::warn("device {}: out of memory; its batches have {} frame{} at most from now on",
                     name, left, left == 1 ? "" : "s");
      });
    }
    obey(index, change, deferred);
    if (!is_owed) changed_.notify_all();  // late news may bring a probe forward
  }
  for (const auto& act : deferred) act();
  if (done) done(std::move(outcome));
}

void DevicePool::tell_error(DeviceIndex index, LaneIndex lane, std::size_t frames,
                            const Error& error, Deferred& deferred) {
  Device& device = devices_[index];
  device.last_error = error.message();
  device.facts[lane].last_error = error.message();
  const TimePoint now = clock_.now();
  if (device.error_told_at && now - *device.error_told_at < kTellErrorsEvery) {
    ++device.errors_untold;
    return;
  }
  deferred.emplace_back([name = names_[index], frames, text = error.message(),
                         untold = std::exchange(device.errors_untold, 0)] {
    spdlog::warn(
        "device {}: a batch of {} failed: {}{}", name, frames, text,
        untold > 0 ? fmt::format(" (and {} others since the last such line)", untold) : "");
  });
  device.error_told_at = now;
}

// ---- health

void DevicePool::tell_lane(DeviceIndex index, const DeviceHealth::Change& change,
                           Deferred& deferred) {
  const LaneIndex lane = change.lane_out ? *change.lane_out : *change.lane_back;
  const std::string what = detector(lanes_[lane].model).variant_name(lanes_[lane].input);
  if (change.lane_back) {
    deferred.emplace_back(
        [name = names_[index], what] { spdlog::info("device {}: {} works again", name, what); });
    return;
  }
  const bool is_elsewhere = device_for(index, lane).has_value();
  deferred.emplace_back([name = names_[index], what, why = devices_[index].facts[lane].last_error,
                         left = is_elsewhere
                                    ? "another device stands in"
                                    : "no other device has it: its answers carry on what was last "
                                      "seen"] {
    spdlog::warn("device {}: {} is taken out, what else runs there goes on: batches fail: {}; {}",
                 name, what, why, left);
  });
}

void DevicePool::count_lane_outages(Device& device) {
  if (!device.health->may_serve()) return;  // what was out alone still is
  for (std::size_t lane = 0; lane < lanes_.size(); ++lane) {
    LaneFacts& facts = device.facts[lane];
    const bool is_out = device.health->lane_out_since(static_cast<LaneIndex>(lane)).has_value();
    if (is_out && !facts.is_out) ++facts.outages;
    facts.is_out = is_out;
  }
}

void DevicePool::obey(DeviceIndex index, const DeviceHealth::Change& change, Deferred& deferred) {
  std::size_t lanes_out = 0;
  for (const Device& each : devices_) lanes_out += each.health->lanes_out();
  lanes_out_ = lanes_out;
  if (change.lane_out || change.lane_back || change.is_taken_back)
    count_lane_outages(devices_[index]);
  if (change.lane_out || change.lane_back) {
    tell_lane(index, change, deferred);
    changed_.notify_all();
  }
  if (!change.is_taken_out && !change.is_taken_back) return;
  Device& device = devices_[index];
  const TimePoint now = clock_.now();
  ++version_;
  changed_.notify_all();
  if (change.is_taken_back) {
    deferred.emplace_back([name = names_[index], out_for = now - device.out_since,
                           still_out = device.health->lanes_out()] {
      spdlog::info("device {} is back after {:.1f} s{}", name, to_seconds(out_for),
                   still_out > 0 ? ", but not all that fails on it" : "");
    });
    return;
  }
  device.out_since = now;
  ++device.outages;
  deferred.emplace_back([name = names_[index], left = explain_left(index),
                         why = explain(device.health->reason(), device.last_error)] {
    spdlog::warn("device {} is taken out: {}; {}", name, why, left);
  });
  for (const std::uint64_t id : change.lost) {
    const auto found = flights_.find(id);
    CHECK(found != flights_.end());
    auto flight = std::make_shared<Flight>(std::move(found->second));
    flights_.erase(found);
    deferred.emplace_back([flight, name = names_[index]] {
      flight->done({std::move(flight->jobs),
                    fail(ErrorCode::kUnavailable, fmt::format("{} was taken out", name)),
                    std::make_shared<const std::string>(), Duration::zero()});
    });
  }
}

std::string DevicePool::explain_left(DeviceIndex out) const {
  DeviceSet serving = 0;
  for (DeviceIndex other = 0; other < devices_.size(); ++other)
    if (devices_[other].health->may_serve()) serving |= DeviceSet{1} << other;
  if (serving == 0) return "there is no other: answers carry on what was last seen";
  std::string text =
      fmt::format("{} of {} devices serve on", std::popcount(serving), devices_.size());
  std::vector<std::string> unserved;
  for (std::size_t model = 0; model < hosts_.size(); ++model)
    if (has_device(hosts_[model], out) && (hosts_[model] & serving) == 0)
      unserved.push_back(detector(model).facts().name);
  if (unserved.empty()) return text;
  return fmt::format("{}, none of them with {}: its answers carry on what was last seen", text,
                     fmt::join(unserved, " or "));
}

void DevicePool::watch() {
  name_this_thread("devices");
  while (true) {
    Deferred deferred;
    {
      const MutexLock lock(mu_);
      if (is_stopping_) return;
      wake_at_.reset();
      const TimePoint now = clock_.now();
      for (DeviceIndex i = 0; i < devices_.size(); ++i) {
        DeviceHealth& health = *devices_[i].health;
        obey(i, health.tick(now), deferred);
        if (const std::optional<LaneIndex> lane = health.begin_probe(now))
          probe(i, *lane, deferred);
        if (!health.may_serve() && health.probes_failed() >= kProbesBeforeLoad) begin_load(i);
        const std::optional<TimePoint> wake_at = health.wake_at();
        if (wake_at) wake_at_ = wake_at_ ? std::min(*wake_at_, *wake_at) : *wake_at;
      }
      look_at_memory(now, deferred);
      if (deferred.empty()) {
        if (wake_at_) {
          if (*wake_at_ > now) changed_.wait_for(mu_, *wake_at_ - now);
        } else {
          changed_.wait(mu_);
        }
      }
    }
    for (const auto& act : deferred) act();
  }
}

void DevicePool::look_at_memory(TimePoint now, Deferred& deferred) {
  if (!options_.is_memory_short) return;
  if (now >= memory_look_at_) {
    memory_look_at_ = now + options_.look_at_memory_every;
    deferred.emplace_back([this] {
      if (options_.is_memory_short()) unload_idlest();
    });
  }
  wake_at_ = wake_at_ ? std::min(*wake_at_, memory_look_at_) : memory_look_at_;
}

void DevicePool::unload_idlest() {
  std::shared_ptr<DetectorPool> idlest;
  TimePoint used_at = TimePoint::max();
  {
    const MutexLock lock(mu_);
    for (DeviceIndex i = 0; i < devices_.size(); ++i) {
      if (!is_processor(names_[i])) continue;
      const std::optional<TimePoint> own = devices_[i].pool->idlest_used_at();
      if (!own || *own >= used_at) continue;
      used_at = *own;
      idlest = devices_[i].pool;
    }
  }
  if (idlest != nullptr) idlest->unload_idlest();
}

void DevicePool::probe(DeviceIndex index, LaneIndex lane, Deferred& deferred) {
  const Device& device = devices_[index];
  deferred.emplace_back([this, index, lane, pool = device.pool, own = device.lanes[lane]] {
    std::vector<InferenceJob> jobs(1);
    jobs.front().frame_index = -1;
    jobs.front().picture = make_grey_picture({64, 64}, 114);
    pool->submit(own, std::move(jobs), [this, index, lane, of = pool.get()](auto&& outcome) {
      on_probed(index, lane, of, outcome);
    });
  });
}

void DevicePool::on_probed(DeviceIndex index, LaneIndex lane, const DetectorPool* pool,
                           const BatchOutcome& outcome) {
  Deferred deferred;
  {
    const MutexLock lock(mu_);
    Device& device = devices_[index];
    if (device.pool.get() != pool) return;  // of one that was replaced
    const TimePoint now = clock_.now();
    if (!outcome.detections) {
      device.last_error = outcome.detections.error().message();
      device.facts[lane].last_error = device.last_error;
    } else if (device.times[lane].samples() == 0) {  // since it was loaded anew
      device.times[lane].record(1, outcome.service_time);
    }
    const DeviceHealth::Change change = device.health->probed(lane, now, code_of(outcome));
    if (outcome.detections && !change.is_taken_back) device.health->hope(now);  // it came late
    obey(index, change, deferred);
    changed_.notify_all();
  }
  for (const auto& act : deferred) act();
}

// ---- loading anew

void DevicePool::begin_load(DeviceIndex index) {
  Device& device = devices_[index];
  const TimePoint now = clock_.now();
  if (!options_.load || device.is_loading || is_stopping_) return;
  if (device.loaded_at && now - *device.loaded_at < options_.load_every) return;
  if (device.loader.joinable()) device.loader.join();  // has ended: is_loading is false
  device.loaded_at = now;
  device.is_loading = true;
  device.loader = std::thread([this, index] {
    name_this_thread("device loader");
    load(index);
  });
}

void DevicePool::make_ready(DeviceIndex index, DetectorPool& pool) {
  struct Wanted {
    Lane lane;
    std::size_t batch = 1;
  };
  std::vector<Wanted> wanted;
  {
    const MutexLock lock(mu_);
    const Device& device = devices_[index];
    for (std::size_t lane = 0; lane < lanes_.size(); ++lane) {
      const std::size_t largest = device.unloaded[lane] > 0 ? device.unloaded[lane] : SIZE_MAX;
      for (std::size_t i = 0; i < kBatchBuckets.size() && kBatchBuckets[i] <= largest; ++i)
        if (device.times[lane].estimates()[i].is_seen)
          wanted.push_back({lanes_[lane], kBatchBuckets[i]});
    }
  }
  for (const Wanted& each : wanted)  // what fails says so again in its batches
    (void)pool.warm_up(pool.lane_for(each.lane.model, each.lane.picture), each.batch,
                       batches_max_[index]);
}

Result<std::vector<std::shared_ptr<const Detector>>> DevicePool::load_models(DeviceIndex index) {
  std::vector<std::shared_ptr<const Detector>> detectors(hosts_.size());
  for (std::size_t model = 0; model < hosts_.size(); ++model) {
    if (!has_device(hosts_[model], index)) continue;
    Result<std::shared_ptr<const Detector>> loaded = options_.load(index, model);
    if (loaded) {
      detectors[model] = std::move(*loaded);
      continue;
    }
    if (!is_file_error(loaded.error().code())) return fail(loaded.error());
    const std::string& why = loaded.error().message();
    bool is_news = false;
    {
      const MutexLock lock(mu_);
      Device& device = devices_[index];
      detectors[model] = device.pool->detectors()[model];
      is_news = std::exchange(device.stays_told, why) != why;
    }
    if (is_news)
      spdlog::warn("device {}: {} is not loaded anew and stays as it is: {}", names_[index],
                   detector(model).facts().name, why);
  }
  return detectors;
}

bool DevicePool::replace(DeviceIndex index, const std::shared_ptr<DetectorPool>& pool) {
  const MutexLock lock(mu_);
  Device& device = devices_[index];
  if (device.health->may_serve()) return false;
  for (std::size_t lane = 0; lane < lanes_.size(); ++lane) {
    const std::size_t model = lanes_[lane].model;
    if (has_device(hosts_[model], index))
      device.lanes[lane] = pool->lane_for(model, lanes_[lane].picture);
    device.times[lane] = ServiceTimes();  // it may be another card
  }
  device.before.push_back(std::exchange(device.pool, pool));
  device.health->renew();
  device.health->hope(clock_.now());
  changed_.notify_all();
  return true;
}

void DevicePool::let_go_of_replaced(DeviceIndex index) {
  Device& device = devices_[index];
  for (int look = 0; look < kLooksAtReplaced; ++look) {
    std::vector<std::shared_ptr<DetectorPool>> idle;
    {
      const MutexLock lock(mu_);
      if (look > 0 && !is_stopping_) changed_.wait_for(mu_, kLookAtReplacedEvery);
      for (std::shared_ptr<DetectorPool>& pool : device.before) {
        // Whoever else has it is about to submit to it; nobody new can get it.
        if (pool.use_count() > 1 || !pool->is_settled()) continue;
        device.done_before.add(*pool);
        idle.push_back(std::move(pool));
      }
      std::erase(device.before, nullptr);
      if (device.before.empty() || is_stopping_) look = kLooksAtReplaced;
    }
    idle.clear();  // a driver may take its time, so not under the lock
  }
  for (const auto& detector : device.detectors)  // those loaded first are never replaced
    if (detector != nullptr) detector->forget_unused();
}

void DevicePool::load(DeviceIndex index) {
  Result<std::vector<std::shared_ptr<const Detector>>> detectors = load_models(index);
  if (detectors) {
    const std::shared_ptr<DetectorPool> pool = make_pool(*std::move(detectors));
    make_ready(index, *pool);
    if (replace(index, pool)) let_go_of_replaced(index);
  }
  const MutexLock lock(mu_);
  Device& device = devices_[index];
  device.is_loading = false;
  changed_.notify_all();
  if (!detectors) device.last_error = detectors.error().message();
}

// ---- reports and the end

std::vector<DevicePool::State> DevicePool::states() const {
  const MutexLock lock(mu_);
  std::vector<State> states;
  for (const Device& device : devices_)
    states.push_back({device.health->may_serve(), device.health->batch_max()});
  return states;
}

std::vector<HostedModel> DevicePool::hosted_by(DeviceIndex index) const {
  const Device& device = devices_[index];
  std::vector<HostedModel> models(hosts_.size());
  for (std::size_t model = 0; model < hosts_.size(); ++model) {
    models[model].is_hosted = has_device(hosts_[model], index);
    models[model].is_serving = models[model].is_hosted && device.health->may_serve();
  }
  for (std::size_t lane = 0; lane < lanes_.size(); ++lane) {
    HostedModel& model = models[lanes_[lane].model];
    model.outages += device.facts[lane].outages;
    model.is_serving &= device.health->may_serve(static_cast<LaneIndex>(lane));
  }
  return models;
}

std::vector<LaneOutReport> DevicePool::lanes_out_of(DeviceIndex index) const {
  const Device& device = devices_[index];
  std::vector<LaneOutReport> lanes;
  for (std::size_t i = 0; i < lanes_.size(); ++i) {
    const auto lane = static_cast<LaneIndex>(i);
    const std::optional<TimePoint> since = device.health->lane_out_since(lane);
    if (!since) continue;
    lanes.push_back({.model = lanes_[i].model,
                     .variant = detector(lanes_[i].model).variant_name(lanes_[i].input),
                     .last_error = device.facts[i].last_error,
                     .out_for = clock_.now() - *since,
                     .is_elsewhere = device_for(index, lane).has_value()});
  }
  return lanes;
}

std::vector<DeviceReport> DevicePool::reports() const {
  const MutexLock lock(mu_);
  std::vector<DeviceReport> reports;
  for (std::size_t i = 0; i < devices_.size(); ++i) {
    const Device& device = devices_[i];
    DeviceReport& report = reports.emplace_back();
    report.name = names_[i];
    for (const auto& detector : device.detectors)
      if (detector != nullptr) report.device_name = detector->facts().device_name;
    report.is_serving = device.health->may_serve();
    report.reason = device.health->reason();
    report.last_error = device.last_error;
    if (!report.is_serving) report.out_for = clock_.now() - device.out_since;
    report.outages = device.outages;
    report.batches_max = batches_max_[i];
    report.batch_max = device.health->batch_max();
    Work work = device.done_before;
    work.add(*device.pool);
    for (const auto& pool : device.before) work.add(*pool);
    report.batches = work.batches;
    report.inference_time = work.inference_time;
    if (work.batches > 0)
      report.batch_mean = static_cast<double>(work.frames) / static_cast<double>(work.batches);
    for (const InferenceCounts& counts : device.inferences) report.inferences.push_back({counts});
    for (const HostedModel& hosted : hosted_by(static_cast<DeviceIndex>(i)))
      report.hosted.push_back({hosted});
    report.lanes_out = lanes_out_of(static_cast<DeviceIndex>(i));
  }
  return reports;
}

bool DevicePool::stop(Duration patience) {
  const auto give_up_at = std::chrono::steady_clock::now() + patience;
  {
    const MutexLock lock(mu_);
    is_stopping_ = true;
  }
  changed_.notify_all();
  if (watcher_.joinable()) watcher_.join();
  bool are_all_back = true;
  for (Device& device : devices_) {
    while (true) {  // a loader may be stuck in a driver
      {
        const MutexLock lock(mu_);
        if (!device.is_loading) break;
        if (changed_.wait_until(mu_, give_up_at) == std::cv_status::timeout && device.is_loading) {
          are_all_back = false;
          break;
        }
      }
    }
    if (!are_all_back) continue;
    if (device.loader.joinable()) device.loader.join();
    std::vector<std::shared_ptr<DetectorPool>> pools;
    {
      const MutexLock lock(mu_);
      pools = device.before;
      pools.push_back(device.pool);
    }
    for (const auto& pool : pools) {
      const auto left = give_up_at - std::chrono::steady_clock::now();
      are_all_back &= pool->stop(std::max<Duration>(Duration::zero(), left));
    }
  }
  return are_all_back;
}

}  // namespace framemill
