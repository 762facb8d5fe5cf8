#include "framemill/server/run_meter.h"

#include <algorithm>
#include <numeric>
#include <utility>

#include <fmt/format.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "framemill/base/thread_name.h"

namespace framemill {
namespace {

constexpr Duration kEvery = std::chrono::seconds(1);
constexpr Duration kWindow = std::chrono::seconds(10);
/// Shares of the frames of a window from which on it is worth a word.
constexpr double kManyLost = .02;
constexpr double kManyOverdue = .05;
constexpr double kManyDecodeErrors = .01;
/// Share of the deadline that B frames may take before they are the reason why it is missed.
constexpr double kMuchReorder = .25;
/// A camera that brings less than this share of what is to be sampled brings too little.
constexpr double kFewSampled = .8;

double of(const CameraCounts& counts, Outcome outcome) {
  return static_cast<double>(counts.outcomes[static_cast<std::size_t>(outcome)]);
}

}  // namespace

RunMeter::RunMeter(const Clock& clock, const AnswerBoard& board,
                   std::function<void(const RunFigures&)> on_look)
    : clock_(clock), board_(board), on_look_(std::move(on_look)), host_(clock) {}

RunMeter::~RunMeter() { stop(); }

void RunMeter::start(const Engine& engine) {
  engine_ = &engine;
  look();
  thread_ = std::thread([this] { run(); });
}

void RunMeter::stop() {
  {
    const MutexLock lock(mu_);
    is_stopping_ = true;
  }
  stopping_.notify_all();
  if (thread_.joinable()) thread_.join();
}

std::shared_ptr<const RunFigures> RunMeter::figures() const {
  const MutexLock lock(mu_);
  return figures_;
}

void RunMeter::run() {
  name_this_thread("meter");
  setpriority(PRIO_PROCESS, static_cast<id_t>(syscall(SYS_gettid)), 5);
  auto next = std::chrono::steady_clock::now() + kEvery;
  while (true) {
    {
      const MutexLock lock(mu_);
      while (!is_stopping_ && std::chrono::steady_clock::now() < next)
        stopping_.wait_until(mu_, next);
      if (is_stopping_) return;
    }
    next = std::max(next + kEvery, std::chrono::steady_clock::now());
    look();
    if (const std::shared_ptr<const RunFigures> now = figures()) on_look_(*now);
  }
}

RunMeter::Counts RunMeter::counts_of(const CameraReport& camera) {
  const CameraCounts& counts = camera.counts;
  return {.captured = static_cast<double>(counts.captured),
          .sampled = static_cast<double>(counts.sampled()),
          .answered = static_cast<double>(counts.answered()),
          .inferred = of(counts, Outcome::kInferred),
          .carried = of(counts, Outcome::kPropagated) + of(counts, Outcome::kReused),
          .overdue = static_cast<double>(counts.overdue),
          .lost = of(counts, Outcome::kSuperseded) + of(counts, Outcome::kLate) +
                  of(counts, Outcome::kFailed),
          .decode_errors = static_cast<double>(camera.status.source.decode_errors),
          .reorder_ms = to_ms(counts.reorder_sum)};
}

FrameRates RunMeter::rates(const Counts& now, const Counts& before, double seconds) {
  if (seconds <= 0) return {};
  const auto rate = [seconds](double a, double b) { return std::max(0.0, a - b) / seconds; };
  return {.captured = rate(now.captured, before.captured),
          .sampled = rate(now.sampled, before.sampled),
          .answered = rate(now.answered, before.answered),
          .inferred = rate(now.inferred, before.inferred),
          .carried = rate(now.carried, before.carried),
          .overdue = rate(now.overdue, before.overdue),
          .lost = rate(now.lost, before.lost)};
}

std::vector<CameraTrouble> RunMeter::troubles(const CameraReport& camera, const RunReport& report,
                                              const Counts& now, const Counts& before,
                                              double seconds, double rate_wanted) {
  std::vector<CameraTrouble> found;
  const auto add = [&found](const char* kind, std::string text) {
    found.push_back({kind, std::move(text)});
  };
  switch (camera.status.state) {
    case CameraState::kDown:
      add("down", camera.status.last_error + "; connecting again by itself");
      break;
    case CameraState::kFailed:
      add("failed", camera.status.last_error);
      break;
    case CameraState::kFrozen:
      add("frozen", "frames come, and all show the same picture; restart the camera itself");
      break;
    case CameraState::kPaused:
      add("paused", "paused by an operator");
      break;
    case CameraState::kConnecting:
      if (seconds >= 5) add("connecting", "no frame has come yet");
      break;
    case CameraState::kUp:
    case CameraState::kEnded:
      break;
  }
  const double sampled = now.sampled - before.sampled;
  const double lost = now.lost - before.lost;
  const double overdue = now.overdue - before.overdue;
  const double answered = now.answered - before.answered;
  if (lost > 1 && lost > kManyLost * sampled) {
    add("lost", fmt::format("{:.0f} of {:.0f} sampled frames of the last {:.0f} s have no answer; "
                            "policy adaptive, a lower rate or a faster device help",
                            lost, sampled, seconds));
  }
  if (overdue > 1 && overdue > kManyOverdue * answered) {
    std::string text = fmt::format(
        "{:.0f} of {:.0f} answers of the last {:.0f} s came after their deadline of {:.0f} ms",
        overdue, answered, seconds, to_ms(camera.slo));
    const double reorder_ms = (now.reorder_ms - before.reorder_ms) / answered;
    if (reorder_ms > kMuchReorder * to_ms(camera.slo))
      add("reorder", fmt::format("{}; {:.0f} ms of it is the wait for the pictures that the "
                                 "stream's B frames refer to",
                                 text, reorder_ms));
    else
      add("overdue", std::move(text));
  }
  const double decode_errors = now.decode_errors - before.decode_errors;
  if (decode_errors > 1 && decode_errors > kManyDecodeErrors * (now.captured - before.captured)) {
    add("decode_errors", fmt::format("{:.0f} frames of the last {:.0f} s could not be decoded; the "
                                     "network loses packets, or the camera's encoder fails",
                                     decode_errors, seconds));
  }
  if (camera.status.state == CameraState::kUp && rate_wanted > 0 && seconds >= 5 &&
      sampled < kFewSampled * rate_wanted * seconds - 1) {
    add("rate", fmt::format("{:.1f} frames/s come of the {:.1f} that are to be answered; raise the "
                            "camera's frame rate, or lower `rate`",
                            sampled / seconds, rate_wanted));
  }
  const auto model = std::ranges::find(report.model_names, camera.model);
  if (model != report.model_names.end()) {
    const ModelFacts& best =
        report.models[static_cast<std::size_t>(model - report.model_names.begin())];
    if (camera.rung != best.name) {
      add("rung", fmt::format("answered by the cheaper model {}, since the device has no time for "
                              "{}",
                              camera.rung, best.name));
    }
  }
  if (report.fidelity_target && camera.fidelity && !camera.fidelity->is_of_group &&
      camera.fidelity->state == FidelityState::kKnown &&
      camera.fidelity->value < report.fidelity_target->target) {
    add("fidelity", fmt::format("fidelity {:.3f} is below the {:.3f} that is to be held",
                                camera.fidelity->value, report.fidelity_target->target));
  }
  return found;
}

void add_cards(const std::vector<GpuReading>& cards, std::vector<DeviceFigures>& devices) {
  const std::size_t of_run = devices.size();
  for (const GpuReading& card : cards) {
    bool is_used = false;
    for (std::size_t i = 0; i < of_run; ++i) {
      if (card_of(devices[i].device) != card.device) continue;
      devices[i].gpu = card;
      is_used = true;
    }
    if (!is_used) devices.push_back({.device = card.device, .name = card.name, .gpu = card});
  }
}

DeviceFigures RunMeter::device_figures(const DeviceReport& device, const Look& now,
                                       const Look& last, const Look& oldest, std::size_t index) {
  DeviceFigures figures;
  figures.device = device.name;
  figures.name = device.device_name;
  figures.in_parallel = device.batches_max;
  if (device.batch_mean > 0) figures.batch_mean = device.batch_mean;
  figures.is_serving = device.is_serving;
  if (!device.is_serving) figures.out_reason = to_string(device.reason);
  figures.outages = device.outages;
  figures.model_outages = device.model_outages();
  figures.lanes_out = device.lanes_out;
  const Look::Device& is = now.devices[index];
  const Look::Device& was = last.devices[index];
  const Look::Device& long_ago = oldest.devices[index];
  const double last_s = to_seconds(now.at - last.at);
  if (last_s > 0) {
    figures.utilization =
        std::clamp((is.inference_s - was.inference_s) /
                       (last_s * static_cast<double>(std::max<std::size_t>(1, device.batches_max))),
                   0.0, 1.0);
    figures.inferences_per_s = (is.inferences - was.inferences) / last_s;
  }
  if (is.batches > long_ago.batches)
    figures.service_ms =
        1e3 * (is.inference_s - long_ago.inference_s) / (is.batches - long_ago.batches);
  return figures;
}

void RunMeter::look() {
  if (engine_ == nullptr) return;
  const MutexLock looking(look_mu_);
  auto figures = std::make_shared<RunFigures>();
  figures->report = engine_->report(ReportDetail::kQuick);
  const std::vector<CameraSettings> settings = engine_->camera_settings();
  const RunReport& report = figures->report;
  figures->at = clock_.wall_now();
  Look now{.at = clock_.now()};
  for (const DeviceReport& device : report.devices) {
    Look::Device& entry = now.devices.emplace_back();
    entry.inference_s = to_seconds(device.inference_time);
    entry.batches = static_cast<double>(device.batches);
    for (const auto& rungs : device.inferences) {
      for (const InferenceCounts& counts : rungs)
        entry.inferences += std::accumulate(counts.begin(), counts.end(), 0.0);
    }
  }
  for (const CameraReport& camera : report.cameras) now.cameras[camera.id] = counts_of(camera);
  CameraReport all;
  all.counts = report.total;
  now.total = counts_of(all);

  const Look& last = looks_.empty() ? now : looks_.back();
  const Look& oldest = looks_.empty() ? now : looks_.front();
  const double last_s = to_seconds(now.at - last.at);
  const double window_s = to_seconds(now.at - oldest.at);
  figures->window_s = window_s;
  const auto before = [](const Look& look, const std::string& id, const Counts& fallback) {
    const auto found = look.cameras.find(id);
    return found == look.cameras.end() ? fallback : found->second;
  };
  const TimePoint since = now.at - kWindow;
  std::vector<Duration> latencies, all_latencies;
  for (const CameraReport& camera : report.cameras) {
    const Counts& counts = now.cameras[camera.id];
    const Counts long_ago = before(oldest, camera.id, {});
    CameraFigures& entry = figures->cameras.emplace_back();
    entry.rates = rates(counts, before(last, camera.id, counts), last_s);
    latencies.clear();
    board_.add_latencies(camera.index, since, latencies);
    all_latencies.insert(all_latencies.end(), latencies.begin(), latencies.end());
    if (const std::optional<Duration> p95 = p95_of(latencies)) entry.p95_ms = to_ms(*p95);
    if (counts.sampled > long_ago.sampled) {
      entry.share_inferred = std::clamp(
          (counts.inferred - long_ago.inferred) / (counts.sampled - long_ago.sampled), 0.0, 1.0);
    }
    const auto wanted = std::ranges::find(settings, camera.id, &CameraSettings::id);
    const bool is_old = oldest.cameras.contains(camera.id);
    entry.troubles = troubles(camera, report, counts, long_ago, is_old ? window_s : 0,
                              wanted != settings.end() && wanted->every == 0 ? wanted->rate_hz : 0);
  }
  figures->total = rates(now.total, last.total, last_s);
  if (const std::optional<Duration> p95 = p95_of(all_latencies)) figures->p95_ms = to_ms(*p95);
  if (now.total.sampled > oldest.total.sampled) {
    figures->share_inferred = std::clamp(
        (now.total.inferred - oldest.total.inferred) / (now.total.sampled - oldest.total.sampled),
        0.0, 1.0);
  }
  figures->host = host_.read();
  for (std::size_t i = 0; i < report.devices.size(); ++i) {
    DeviceFigures device = device_figures(report.devices[i], now, last, oldest, i);
    device.batch_frames = std::min(report.batch_frames, report.devices[i].batch_max);
    figures->devices.push_back(std::move(device));
  }
  add_cards(gpu_.read(), figures->devices);
  // Looks in between, after a change, would make the last second short.
  if (looks_.empty() || now.at - looks_.back().at >= kEvery / 2) {
    looks_.push_back(std::move(now));
    while (looks_.back().at - looks_.front().at > kWindow) looks_.pop_front();
  }
  const MutexLock lock(mu_);
  figures_ = std::move(figures);
}

}  // namespace framemill
