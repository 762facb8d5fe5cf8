#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "framemill/base/clock.h"
#include "framemill/base/mutex.h"
#include "framemill/base/result.h"
#include "framemill/core/frame.h"
#include "framemill/infer/detector.h"
#include "framemill/metrics/gpu_meter.h"
#include "framemill/sched/device_profile.h"

namespace framemill {

struct ModelProfilerOptions {
  std::vector<std::shared_ptr<const Picture>> pictures;  ///< go round; one or more, of one size
  std::size_t batch_max = 32;   ///< largest batch tried, where the model takes it
  std::size_t streams_max = 4;  ///< most batches in flight tried; `run`'s own number always is
  bool is_grid_wanted = false;  ///< every batch with every number of streams, past the knee, too
  Duration warm_up = std::chrono::milliseconds(300);
  Duration window = std::chrono::seconds(1);
  /// A window lasts until so many batches came back; three times its length is enough with two.
  std::size_t window_batches_min = 6;
  std::size_t windows_max = 8;  ///< a setting ends after so many, steady or not; >= 3
  double steady_spread = .1;    ///< three windows in a row within it end a setting
  double knee_gain = .05;       ///< less gain than this is none
  bool is_border_checked =
      true;  ///< where two settings differ by less than twice that, both run once more
  Duration patience = std::chrono::seconds(60);  ///< a device without any result for so long hangs
  /// Cameras to decode beside the knee, a setting each; with an empty `beside_clip`, none.
  std::vector<std::size_t> decoders;
  std::string beside_clip;  ///< looped at its own pace by each of them, sampled 10 times a second
  /// As GpuMeter::read(), for models on cards; empty: their power, temperature and memory are not
  /// known. From the thread of measure().
  std::function<std::vector<GpuReading>()> read_cards;
  /// From before the process first used a card: what it takes since then is the model's.
  std::vector<GpuReading> cards_before;
};

struct ModelMeasurement {
  ModelFacts facts;
  Size input;  ///< that the pictures were inferred at
  std::vector<ServicePoint> points;
  std::size_t knee_batch = 1;
  std::size_t knee_streams = 1;
  std::size_t run_streams = 1;
  double other_load_cores = 0;     ///< what other processes used meanwhile, mean over all settings
  std::vector<std::string> notes;  ///< what a reader of the figures should know
};

/// The number of `settings` (ascending) at which the throughput stops to grow: the first of which
/// the next gains less than `gain` per doubling. `throughput[i]` belongs to `settings[i]`; as many
/// as are known. Pure.
[[nodiscard]] std::size_t find_knee(const std::vector<std::size_t>& settings,
                                    const std::vector<double>& throughput, double gain);

/// 101 quantiles of `samples` (any order), linear between neighbours; none of none. Pure.
[[nodiscard]] LatencyDistribution make_distribution(std::vector<Duration> samples);

/// Where in `throughput` the `count` windows in a row with the least spread begin, and that spread:
/// (highest - lowest) / mean. Requires throughput.size() >= count >= 1. Pure.
struct SteadyWindows {
  std::size_t first = 0;
  double spread = 0;
};
[[nodiscard]] SteadyWindows find_steady(const std::vector<double>& throughput, std::size_t count);

/// Measures a model the way the engine runs it: through a DetectorPool, letterbox to detections,
/// as many batches in flight as the setting says, the next one handed over when one comes back.
/// First the batch at the number of streams that `run` uses, up to one step past the knee; then the
/// streams at that batch, and one picture alone; then the knee with cameras decoded beside it.
/// Thread-safety: request_stop() from any thread; the rest from one.
class ModelProfiler {
 public:
  /// Loads the model for so many streams; 0: as `run` chooses.
  using Load = std::function<Result<std::unique_ptr<Detector>>(std::size_t streams)>;
  /// Told before each setting: what it is, and how much of all is done, 0..1 (estimated).
  using OnStep = std::function<void(const std::string& step, double done)>;

  /// `clock` outlives this.
  ModelProfiler(ModelProfilerOptions options, Load load, const Clock& clock, OnStep on_step);

  /// Errors: those of `load` and of the first setting; kCancelled after request_stop();
  /// kInternal where a device hangs: end the process then, its requests cannot be destroyed.
  /// A later setting that fails (memory) ends its sweep and is noted.
  Result<ModelMeasurement> measure();
  /// In place of measure(): frames a second of batches of `batch` with as many in flight as `run`
  /// keeps, and nothing else.
  Result<double> measure_speed(std::size_t batch);
  void request_stop() EXCLUDES(mu_);

 private:
  /// Loads the model to see what it is.
  Result<void> look_at_model();
  struct Setting {
    std::size_t batch = 1, streams = 1, decoders = 0;
  };
  /// Runs `setting` until its windows are steady.
  Result<ServicePoint> run(const Setting& setting);
  Result<double> measure_setting(const Setting& setting);
  Result<double> throughput_of(const Setting& setting);
  void check_border(const Setting& smaller, const Setting& larger);
  Result<std::size_t> sweep(const std::vector<std::size_t>& values,
                            const std::function<Setting(std::size_t)>& setting_of);
  [[nodiscard]] ServicePoint* find(const Setting& setting);
  [[nodiscard]] bool is_stopped() const EXCLUDES(mu_);

  const ModelProfilerOptions options_;
  const Load load_;
  const Clock& clock_;
  const OnStep on_step_;
  ModelMeasurement result_;
  double other_cpu_s_ = 0;  ///< processor time of other processes
  double measured_s_ = 0;   ///< in which they used it
  std::size_t steps_done_ = 0;
  mutable Mutex mu_;
  bool is_stopped_ GUARDED_BY(mu_) = false;
};

}  // namespace framemill
