#include "framemill/engine/model_profiler.h"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <limits>
#include <numeric>
#include <thread>
#include <tuple>
#include <utility>

#include <fmt/format.h>

#include "framemill/base/check.h"
#include "framemill/engine/beside_decoders.h"
#include "framemill/engine/detector_pool.h"
#include "framemill/engine/machine_meter.h"
#include "framemill/sched/service_times.h"

namespace framemill {
namespace {

constexpr std::size_t kSteadyWindows = 3;
constexpr std::size_t kPercentiles = 101;
constexpr Duration kLook = std::chrono::milliseconds(50);  ///< how often a stop is looked for

/// A batch that came back.
struct Completion {
  TimePoint at;
  Duration service{0};
};

/// Keeps a pool busy with a number of batches. On the heap: callbacks of a device that hangs may
/// come after all.
class BusyLoop {
 public:
  BusyLoop(std::unique_ptr<Detector> detector, std::size_t streams, std::size_t batch,
           const ModelProfilerOptions& options, const Clock& clock)
      : streams_(streams),
        batch_(batch),
        pictures_(options.pictures),
        clock_(clock),
        pool_({std::shared_ptr<const Detector>(std::move(detector))},
              std::max<std::size_t>(1, streams), clock),
        lane_(pool_.lane_for(0, pictures_.front()->size)) {}

  /// Makes the requests and hands the first batches over.
  Result<void> start() {
    if (Result<void> warm = pool_.warm_up(lane_, batch_, streams_ + 1); !warm) return warm;
    for (std::size_t i = 0; i < streams_; ++i) submit();
    return {};
  }

  /// Moves what came back since the last call behind `completions`; waits for some, up to `most`.
  Result<void> take(std::vector<Completion>& completions, Duration most) EXCLUDES(mu_) {
    const MutexLock lock(mu_);
    if (done_.empty() && !error_) changed_.wait_for(mu_, most);
    if (error_) return fail(*error_);
    completions.insert(completions.end(), done_.begin(), done_.end());
    done_.clear();
    return {};
  }

  /// Ends it. False where batches did not come back in time: it must not be destroyed then.
  [[nodiscard]] bool stop(Duration patience) EXCLUDES(mu_) {
    {
      const MutexLock lock(mu_);
      is_over_ = true;
    }
    return pool_.stop(patience);
  }

 private:
  void submit() {
    std::vector<InferenceJob> jobs(batch_);
    for (InferenceJob& job : jobs) {
      const std::size_t at = next_picture_++;
      job.picture = pictures_[at % pictures_.size()];
    }
    pool_.submit(lane_, std::move(jobs), [this](BatchOutcome&& outcome) { on_done(outcome); });
  }

  void on_done(const BatchOutcome& outcome) EXCLUDES(mu_) {
    bool is_going_on = false;
    {
      const MutexLock lock(mu_);
      if (outcome.detections)
        done_.push_back({clock_.now(), outcome.service_time});
      else if (!error_)
        error_ = outcome.detections.error();
      is_going_on = !is_over_ && !error_;
    }
    changed_.notify_all();
    if (is_going_on) submit();
  }

  const std::size_t streams_;
  const std::size_t batch_;
  const std::vector<std::shared_ptr<const Picture>> pictures_;
  const Clock& clock_;
  std::atomic<std::size_t> next_picture_{0};
  Mutex mu_;
  CondVar changed_;
  std::vector<Completion> done_ GUARDED_BY(mu_);
  std::optional<Error> error_ GUARDED_BY(mu_);
  bool is_over_ GUARDED_BY(mu_) = false;
  DetectorPool pool_;  // its threads use all of the above
  const LaneIndex lane_;
};

/// A stretch of a setting, from one completion to another.
struct Window {
  double frames_per_s = 0;
  std::vector<Duration> service;
  double wall_s = 0;
  double own_cpu_s = 0;  ///< of this process, decoding left out
  double other_cpu_s = 0;
  std::optional<double> power_w;
  std::optional<double> temperature_c;
  std::optional<std::int64_t> device_bytes;
};

/// Cuts what comes back into windows.
class WindowCutter {
 public:
  WindowCutter(const ModelProfilerOptions& options, std::size_t batch, const Clock& clock,
               const BesideDecoders& decoders, const ModelFacts& model)
      : options_(options),
        batch_(batch),
        decoders_(decoders),
        meter_(clock, {model.device, model.device_name, options.read_cards}) {}

  /// The next window begins with the last of what is given, which came back before it.
  void begin(const Completion& before) {
    begin_ = before.at;
    open_ = {};
    reading_ = meter_.read();
    decoder_cpu_ = decoders_.cpu();
  }

  void add(const Completion& completion) {
    open_.service.push_back(completion.service);
    const Duration wall = completion.at - begin_;
    const bool is_long_enough =
        (wall >= options_.window && open_.service.size() >= options_.window_batches_min) ||
        (wall >= 3 * options_.window && open_.service.size() >= 2);
    if (!is_long_enough) return;
    const MeterReading now = meter_.read();
    const double metered_s = std::max(1e-9, to_seconds(now.at - reading_.at));
    const double process_s = to_seconds(now.process_cpu - reading_.process_cpu);
    open_.wall_s = metered_s;
    open_.own_cpu_s = std::max(0.0, process_s - to_seconds(decoders_.cpu() - decoder_cpu_));
    if (now.machine_cpu && reading_.machine_cpu)
      open_.other_cpu_s =
          std::max(0.0, to_seconds(*now.machine_cpu - *reading_.machine_cpu) - process_s);
    if (now.energy_j && reading_.energy_j)
      open_.power_w = std::max(0.0, (*now.energy_j - *reading_.energy_j) / metered_s);
    else
      open_.power_w = now.power_w;
    open_.device_bytes = now.device_bytes;
    open_.temperature_c = now.temperature_c;
    open_.frames_per_s =
        static_cast<double>(open_.service.size() * batch_) / std::max(1e-9, to_seconds(wall));
    windows_.push_back(std::move(open_));
    begin(completion);
  }

  [[nodiscard]] const std::vector<Window>& windows() const { return windows_; }

  /// Steady, or as many windows as there may be.
  [[nodiscard]] bool is_done() const {
    if (windows_.size() < kSteadyWindows) return false;
    if (windows_.size() >= std::max(kSteadyWindows, options_.windows_max)) return true;
    const std::vector<double> last = throughput(windows_.size() - kSteadyWindows);
    return find_steady(last, kSteadyWindows).spread <= options_.steady_spread;
  }
  [[nodiscard]] std::vector<double> throughput(std::size_t first = 0) const {
    std::vector<double> values;
    for (std::size_t i = first; i < windows_.size(); ++i)
      values.push_back(windows_[i].frames_per_s);
    return values;
  }

 private:
  const ModelProfilerOptions& options_;
  const std::size_t batch_;
  const BesideDecoders& decoders_;
  MachineMeter meter_;
  TimePoint begin_;
  MeterReading reading_;
  Duration decoder_cpu_{0};
  Window open_;
  std::vector<Window> windows_;
};

/// Means and extremes over the windows that count.
ServicePoint summarise(const WindowCutter& cutter) {
  const SteadyWindows steady = find_steady(cutter.throughput(), kSteadyWindows);
  ServicePoint point{.spread = steady.spread};
  std::vector<Duration> service;
  double frames = 0, wall_s = 0, cpu_s = 0, power_w = 0;
  bool has_power = true;
  for (std::size_t i = steady.first; i < steady.first + kSteadyWindows; ++i) {
    const Window& window = cutter.windows()[i];
    service.insert(service.end(), window.service.begin(), window.service.end());
    frames += window.frames_per_s * window.wall_s;
    wall_s += window.wall_s;
    cpu_s += window.own_cpu_s;
    has_power = has_power && window.power_w.has_value();
    power_w += window.power_w.value_or(0) * window.wall_s;
    if (window.temperature_c)
      point.temperature_c =
          std::max(point.temperature_c.value_or(*window.temperature_c), *window.temperature_c);
    if (window.device_bytes)
      point.device_bytes = std::max(point.device_bytes.value_or(0), *window.device_bytes);
  }
  point.frames_per_s = frames / wall_s;
  point.cpu_cores = cpu_s / wall_s;
  if (has_power) point.power_w = power_w / wall_s;
  point.service = make_distribution(std::move(service));
  return point;
}

std::string describe(std::size_t batch, std::size_t streams, std::size_t decoders) {
  std::string text = fmt::format("batch {}, {} stream{}", batch, streams, streams == 1 ? "" : "s");
  if (decoders > 0) text += fmt::format(", {} cameras decoded beside", decoders);
  return text;
}

}  // namespace

std::size_t find_knee(const std::vector<std::size_t>& settings,
                      const std::vector<double>& throughput, double gain) {
  CHECK(!throughput.empty() && throughput.size() <= settings.size());
  for (std::size_t i = 0; i + 1 < throughput.size(); ++i) {
    const double doublings =
        std::log2(static_cast<double>(settings[i + 1]) / static_cast<double>(settings[i]));
    if (throughput[i + 1] < throughput[i] * std::pow(1 + gain, doublings)) return settings[i];
  }
  return settings[throughput.size() - 1];
}

LatencyDistribution make_distribution(std::vector<Duration> samples) {
  LatencyDistribution distribution;
  if (samples.empty()) return distribution;
  std::ranges::sort(samples);
  for (std::size_t i = 0; i < kPercentiles; ++i) {
    const double at =
        static_cast<double>(i) / (kPercentiles - 1) * static_cast<double>(samples.size() - 1);
    const auto below = static_cast<std::size_t>(at);
    const std::size_t above = std::min(below + 1, samples.size() - 1);
    const auto step = static_cast<double>((samples[above] - samples[below]).count());
    distribution.percentiles.push_back(
        samples[below] + Duration(std::llround(step * (at - static_cast<double>(below)))));
  }
  return distribution;
}

SteadyWindows find_steady(const std::vector<double>& throughput, std::size_t count) {
  CHECK(count >= 1 && throughput.size() >= count);
  SteadyWindows best{.spread = std::numeric_limits<double>::infinity()};
  for (std::size_t first = 0; first + count <= throughput.size(); ++first) {
    const auto begin = throughput.begin() + static_cast<std::ptrdiff_t>(first);
    const auto end = begin + static_cast<std::ptrdiff_t>(count);
    const auto [least, most] = std::minmax_element(begin, end);
    const double mean = std::accumulate(begin, end, 0.0) / static_cast<double>(count);
    const double spread = mean > 0 ? (*most - *least) / mean : 0;
    if (spread < best.spread) best = {.first = first, .spread = spread};
  }
  return best;
}

ModelProfiler::ModelProfiler(ModelProfilerOptions options, Load load, const Clock& clock,
                             OnStep on_step)
    : options_(std::move(options)),
      load_(std::move(load)),
      clock_(clock),
      on_step_(std::move(on_step)) {
  CHECK(!options_.pictures.empty() && options_.streams_max >= 1 && options_.batch_max >= 1);
}

void ModelProfiler::request_stop() {
  const MutexLock lock(mu_);
  is_stopped_ = true;
}

bool ModelProfiler::is_stopped() const {
  const MutexLock lock(mu_);
  return is_stopped_;
}

ServicePoint* ModelProfiler::find(const Setting& setting) {
  const auto found = std::ranges::find_if(result_.points, [&setting](const ServicePoint& point) {
    return point.batch == setting.batch && point.streams == setting.streams &&
           point.decoders == setting.decoders;
  });
  return found == result_.points.end() ? nullptr : &*found;
}

Result<ServicePoint> ModelProfiler::run(const Setting& setting) {
  const auto cancelled = [] { return fail(ErrorCode::kCancelled, "stopped"); };
  if (is_stopped()) return cancelled();
  const std::size_t expected = 6 + options_.decoders.size();
  on_step_(
      describe(setting.batch, setting.streams, setting.decoders),
      static_cast<double>(steps_done_) / static_cast<double>(std::max(expected, steps_done_ + 1)));
  ++steps_done_;
  if (!reset_peak_memory() && result_.points.empty())
    result_.notes.emplace_back(
        "the kernel does not let peak memory be measured apart for each setting: figures of memory "
        "are those of the largest so far");
  const std::int64_t memory_before = peak_memory_bytes();
  Result<std::unique_ptr<Detector>> detector =
      load_(setting.streams == result_.run_streams ? 0 : setting.streams);
  if (!detector) return fail(detector.error());
  const BesideDecoders decoders(options_.beside_clip, setting.decoders, clock_);
  auto loop = std::make_unique<BusyLoop>(*std::move(detector), setting.streams, setting.batch,
                                         options_, clock_);
  if (Result<void> started = loop->start(); !started) return fail(started.error());

  WindowCutter cutter(options_, setting.batch, clock_, decoders, result_.facts);
  std::vector<Completion> completions;
  const TimePoint begin = clock_.now();
  TimePoint last = begin;
  std::size_t warm_count = 0;
  bool is_warm = false;
  Result<void> status;
  while (!cutter.is_done()) {
    completions.clear();
    status = loop->take(completions, kLook);
    if (status) status = decoders.status();
    if (status && is_stopped()) status = cancelled();
    if (!status) break;
    for (const Completion& completion : completions) {
      last = completion.at;
      if (is_warm) {
        cutter.add(completion);
        if (cutter.is_done()) break;
        continue;
      }
      ++warm_count;
      is_warm = warm_count >= 2 * setting.streams && completion.at - begin >= options_.warm_up;
      if (is_warm) cutter.begin(completion);
    }
    if (clock_.now() - last > options_.patience) break;
  }
  if (clock_.now() - last > options_.patience || !loop->stop(options_.patience)) {
    static_cast<void>(loop.release());  // destroying it would wait for the device for ever
    return fail(ErrorCode::kInternal,
                fmt::format("{}: a batch has not come back from the device within {:.0f} s",
                            describe(setting.batch, setting.streams, setting.decoders),
                            to_seconds(options_.patience)));
  }
  if (!status) return fail(status.error());

  ServicePoint point = summarise(cutter);
  point.batch = setting.batch;
  point.streams = setting.streams;
  point.decoders = setting.decoders;
  point.host_bytes = std::max<std::int64_t>(0, peak_memory_bytes() - memory_before);
  if (point.device_bytes) {
    const GpuReading* const before =
        find_card(options_.cards_before, result_.facts.device, result_.facts.device_name);
    if (before != nullptr && before->memory_used_bytes)
      point.device_bytes =
          std::max<std::int64_t>(0, *point.device_bytes - *before->memory_used_bytes);
    else
      point.device_bytes.reset();
  }
  // Memory of the decoders is no memory of the model.
  if (const ServicePoint* const alone = find({setting.batch, setting.streams, 0});
      setting.decoders > 0 && alone != nullptr)
    point.host_bytes = alone->host_bytes;
  for (const Window& window : cutter.windows()) {
    other_cpu_s_ += window.other_cpu_s;
    measured_s_ += window.wall_s;
  }
  return point;
}

Result<double> ModelProfiler::measure_setting(const Setting& setting) {
  Result<ServicePoint> measured = run(setting);
  if (!measured) return fail(measured.error());
  ServicePoint point = *std::move(measured);
  const double throughput = point.frames_per_s;
  ServicePoint* const known = find(setting);
  if (known == nullptr)
    result_.points.push_back(std::move(point));
  else if (throughput > known->frames_per_s)
    *known = std::move(point);  // other work on the machine only ever slows down
  return throughput;
}

Result<double> ModelProfiler::throughput_of(const Setting& setting) {
  if (const ServicePoint* const known = find(setting)) return known->frames_per_s;
  return measure_setting(setting);
}

void ModelProfiler::check_border(const Setting& smaller, const Setting& larger) {
  const double gain = find(larger)->frames_per_s / find(smaller)->frames_per_s - 1;
  if (!options_.is_border_checked || std::abs(gain) > 2 * options_.knee_gain) return;
  // A failure or a stop shows again in the next setting.
  static_cast<void>(measure_setting(smaller));
  static_cast<void>(measure_setting(larger));
}

Result<std::size_t> ModelProfiler::sweep(const std::vector<std::size_t>& values,
                                         const std::function<Setting(std::size_t)>& setting_of) {
  std::vector<double> throughput;
  for (std::size_t i = 0; i < values.size(); ++i) {
    const Setting setting = setting_of(values[i]);
    const Result<double> measured = throughput_of(setting);
    if (!measured) {
      const ErrorCode code = measured.error().code();
      if (i == 0 || code == ErrorCode::kCancelled || code == ErrorCode::kInternal)
        return fail(measured.error());
      result_.notes.push_back(fmt::format("{} cannot be run: {}",
                                          describe(setting.batch, setting.streams, 0),
                                          measured.error().message()));
      break;
    }
    if (i > 0) check_border(setting_of(values[i - 1]), setting);
    throughput.clear();
    for (std::size_t k = 0; k <= i; ++k)
      throughput.push_back(find(setting_of(values[k]))->frames_per_s);
    if (!options_.is_grid_wanted && find_knee(values, throughput, options_.knee_gain) != values[i])
      break;
  }
  return find_knee(values, throughput, options_.knee_gain);
}

Result<void> ModelProfiler::look_at_model() {
  on_step_("loading", 0);
  const Result<std::unique_ptr<Detector>> detector = load_(0);
  if (!detector) return fail(detector.error());
  result_.facts = (*detector)->facts();
  result_.input = (*detector)->input_for(options_.pictures.front()->size);
  result_.run_streams = std::max<std::size_t>(1, result_.facts.parallel_requests);
  return {};
}

Result<double> ModelProfiler::measure_speed(std::size_t batch) {
  if (const Result<void> loaded = look_at_model(); !loaded) return fail(loaded.error());
  const Result<ServicePoint> point = run({batch, result_.run_streams, 0});
  if (!point) return fail(point.error());
  return point->frames_per_s;
}

Result<ModelMeasurement> ModelProfiler::measure() {
  if (const Result<void> loaded = look_at_model(); !loaded) return fail(loaded.error());

  std::vector<std::size_t> batches;
  for (const std::size_t bucket : kBatchBuckets) {
    if (bucket <= std::min(options_.batch_max, result_.facts.batch_max)) batches.push_back(bucket);
  }
  if (batches.empty()) batches.push_back(1);
  if (result_.facts.batch_max == 1)
    result_.notes.emplace_back(
        "the model takes single pictures only; one with a dynamic batch would be measured with "
        "larger ones, too");
  const Result<std::size_t> knee_batch = sweep(batches, [this](std::size_t batch) {
    return Setting{batch, result_.run_streams, 0};
  });
  if (!knee_batch) return fail(knee_batch.error());
  result_.knee_batch = *knee_batch;

  std::vector<std::size_t> streams;
  for (std::size_t i = 1; i <= options_.streams_max; ++i) streams.push_back(i);
  for (std::size_t i = 2 * options_.streams_max; i < result_.run_streams; i *= 2)
    streams.push_back(i);
  if (result_.run_streams > streams.back()) streams.push_back(result_.run_streams);
  const Result<std::size_t> knee_streams = sweep(streams, [this](std::size_t count) {
    return Setting{result_.knee_batch, count, 0};
  });
  if (!knee_streams) return fail(knee_streams.error());
  result_.knee_streams = *knee_streams;

  // One picture alone is the fastest answer there is; plans hold SLOs against it.
  if (const Result<double> alone = throughput_of({1, 1, 0}); !alone) return fail(alone.error());

  if (options_.is_grid_wanted) {
    for (const std::size_t count : streams) {
      const auto setting_of = [count](std::size_t batch) { return Setting{batch, count, 0}; };
      if (const auto done = sweep(batches, setting_of); !done) return fail(done.error());
    }
  }
  for (const std::size_t decoders : options_.decoders) {
    if (options_.beside_clip.empty()) break;
    const Setting setting{result_.knee_batch, result_.run_streams, decoders};
    if (const Result<double> done = measure_setting(setting); !done) {
      const ErrorCode code = done.error().code();
      if (code == ErrorCode::kCancelled || code == ErrorCode::kInternal) return fail(done.error());
      result_.notes.push_back(
          fmt::format("{} cameras decoded beside: {}", decoders, done.error().message()));
      break;
    }
  }
  if (measured_s_ > 0) result_.other_load_cores = other_cpu_s_ / measured_s_;
  std::ranges::sort(result_.points, {}, [](const ServicePoint& point) {
    return std::tuple(point.decoders, point.streams, point.batch);
  });
  for (const ServicePoint& point : result_.points) {
    if (point.spread > options_.steady_spread)
      result_.notes.push_back(fmt::format("{}: not steady, its windows differ by {:.0f} %",
                                          describe(point.batch, point.streams, point.decoders),
                                          point.spread * 100));
  }
  return result_;
}

}  // namespace framemill
