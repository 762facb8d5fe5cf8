#pragma once

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "framemill/base/clock.h"
#include "framemill/base/mutex.h"
#include "framemill/engine/engine.h"
#include "framemill/metrics/gpu_meter.h"
#include "framemill/metrics/host_meter.h"
#include "framemill/server/answer_board.h"

namespace framemill {

/// Frames a second.
struct FrameRates {
  double captured = 0, sampled = 0, answered = 0, inferred = 0, carried = 0, overdue = 0, lost = 0;
};

/// Why a camera is not as it should be.
struct CameraTrouble {
  std::string kind;  ///< as in the OpenAPI file
  std::string text;  ///< for people: what it is, and what helps
};

/// What changes from second to second of one camera.
struct CameraFigures {
  FrameRates rates;
  std::optional<double> p95_ms;          ///< over the last 10 s
  std::optional<double> share_inferred;  ///< likewise
  std::vector<CameraTrouble> troubles;
};

/// What changes from second to second of a device, or of a card that no device of the run is on.
struct DeviceFigures {
  std::string device, name;
  /// 0..1 of the inferences that the run keeps going side by side, over the last second; none of a
  /// card that the run does not use. How busy the card is with everything is gpu->utilization.
  std::optional<double> utilization;
  std::size_t in_parallel = 1;
  std::size_t batch_frames = 1;
  std::optional<double> batch_mean;
  double inferences_per_s = 0;
  std::optional<double> service_ms;  ///< of a batch, over the last 10 s
  bool is_serving = true;
  std::string out_reason;  ///< why not: errors, hung, gone
  std::int64_t outages = 0;
  std::int64_t model_outages = 0;
  std::vector<LaneOutReport> lanes_out;
  std::optional<GpuReading> gpu;
};

/// Puts each card's reading to the devices that compute on it, and adds the cards that none is on.
/// Pure.
void add_cards(const std::vector<GpuReading>& cards, std::vector<DeviceFigures>& devices);

/// A run at one moment.
struct RunFigures {
  WallTime at;
  double window_s = 0;  ///< what the slower figures look back on
  RunReport report;
  std::vector<CameraFigures> cameras;  ///< as report.cameras
  FrameRates total;
  std::optional<double> p95_ms, share_inferred;
  std::vector<DeviceFigures> devices;
  HostReading host;
};

/// Looks at a run once a second. Thread-safety: all members, any thread.
class RunMeter {
 public:
  /// `board` outlives the meter. `on_look`: called with each second's figures, from its thread.
  RunMeter(const Clock& clock, const AnswerBoard& board,
           std::function<void(const RunFigures&)> on_look);
  RunMeter(const RunMeter&) = delete;
  ~RunMeter();

  /// Begins; `engine` outlives stop().
  void start(const Engine& engine);
  void stop();
  /// The newest figures; null before the first. At most a second old.
  [[nodiscard]] std::shared_ptr<const RunFigures> figures() const EXCLUDES(mu_);
  /// Looks now: after a change that is to be seen at once.
  void look() EXCLUDES(look_mu_, mu_);

 private:
  /// What is compared between two looks, of one camera.
  struct Counts {
    double captured = 0, sampled = 0, answered = 0, inferred = 0, carried = 0, overdue = 0,
           lost = 0, decode_errors = 0, reorder_ms = 0;
  };
  struct Look {
    TimePoint at;
    std::map<std::string, Counts> cameras;
    Counts total;
    struct Device {
      double inference_s = 0, batches = 0, inferences = 0;
    };
    std::vector<Device> devices;  ///< as report.devices
  };

  void run();
  static Counts counts_of(const CameraReport& camera);
  /// Of the device at `index` of the report.
  static DeviceFigures device_figures(const DeviceReport& device, const Look& now, const Look& last,
                                      const Look& oldest, std::size_t index);
  static FrameRates rates(const Counts& now, const Counts& before, double seconds);
  static std::vector<CameraTrouble> troubles(const CameraReport& camera, const RunReport& report,
                                             const Counts& now, const Counts& before,
                                             double seconds, double rate_wanted);

  const Clock& clock_;
  const AnswerBoard& board_;
  const std::function<void(const RunFigures&)> on_look_;
  const Engine* engine_ = nullptr;               // set by start()
  Mutex look_mu_;                                ///< one look at a time
  std::deque<Look> looks_ GUARDED_BY(look_mu_);  ///< a second apart, oldest first
  HostMeter host_ GUARDED_BY(look_mu_);
  GpuMeter gpu_ GUARDED_BY(look_mu_);
  mutable Mutex mu_;
  CondVar stopping_;
  bool is_stopping_ GUARDED_BY(mu_) = false;
  std::shared_ptr<const RunFigures> figures_ GUARDED_BY(mu_);
  std::thread thread_;  // last member
};

}  // namespace framemill
