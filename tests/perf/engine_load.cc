// How much of a device's speed a whole run gets, without the device: cameras with generated
// pictures, scheduler, pool, heads and NMS, tracks and results as they are, on a device that is a
// clock. It computes one batch at a time in exactly fixed + each x pictures, takes pictures as a
// graphics device does (a copy of their samples), and hands out the output of a detector of 80
// classes.
//   engine_load CAMERAS [fixed_us=300] [each_us=100] [parallel=3] [rate=10] [seconds=8]
//   [size=640x360] [input=640x384] [policy=full]
//               [results=FILE] [budget=.2]
// Prints one JSON object: inferences a second and their share of what the device can do at the
// knee, and the cores that each kind of thread had, by the threads' names. More cameras than the
// device can serve show what limits it.
#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include <fmt/format.h>

#include "framemill/base/clock.h"
#include "framemill/engine/engine.h"
#include "framemill/infer/detector.h"
#include "framemill/sched/service_times.h"

namespace {

using namespace framemill;
using Steady = std::chrono::steady_clock;

constexpr int kClasses = 80;
constexpr int kObjects = 8;  // that the output holds, each as some neighbouring candidates

/// One batch at a time, in exact times; any number may wait.
class ClockDevice {
 public:
  ClockDevice(Duration fixed, Duration each) : fixed_(fixed), each_(each) {}
  [[nodiscard]] Duration time_of(std::size_t batch) const {
    return fixed_ + each_ * static_cast<Duration::rep>(batch);
  }
  /// Waits until a batch that is handed over now is done.
  void compute(std::size_t batch) {
    Steady::time_point done;
    {
      const std::lock_guard lock(mu_);
      free_at_ = std::max(free_at_, Steady::now()) + time_of(batch);
      done = free_at_;
    }
    std::this_thread::sleep_until(done);
  }

 private:
  const Duration fixed_, each_;
  std::mutex mu_;
  Steady::time_point free_at_;
};

std::size_t candidates_of(Size input) {
  std::size_t count = 0;
  for (const int stride : {8, 16, 32})
    count += static_cast<std::size_t>(input.width / stride) *
             static_cast<std::size_t>(input.height / stride);
  return count;
}

/// A picture's [4+C, N] output: kObjects objects, each seen by three candidates.
std::vector<float> make_output(Size input) {
  const std::size_t count = candidates_of(input);
  std::vector<float> output((4 + kClasses) * count, .001F);
  for (std::size_t i = 0; i < 4 * count; ++i) output[i] = 16;
  for (int object = 0; object < kObjects; ++object) {
    for (int copy = 0; copy < 3; ++copy) {
      const std::size_t at = static_cast<std::size_t>(40 * object + copy + 7) % count;
      const float x =
          static_cast<float>(input.width) * (static_cast<float>(object) + .5F) / kObjects;
      output[at] = x + static_cast<float>(copy);
      output[count + at] = static_cast<float>(input.height) / 2;
      output[2 * count + at] = output[3 * count + at] =
          static_cast<float>(input.width) / kObjects / 2;
      output[(4 + static_cast<std::size_t>(object)) * count + at] =
          .9F - .1F * static_cast<float>(copy);
    }
  }
  return output;
}

class ClockRequest final : public InferRequest {
 public:
  ClockRequest(std::shared_ptr<ClockDevice> device, std::size_t batch, Size input)
      : device_(std::move(device)), batch_(batch), input_(input), host_(batch) {
    const std::vector<float> one = make_output(input);
    for (std::size_t i = 0; i < batch; ++i) output_.insert(output_.end(), one.begin(), one.end());
    thread_ = std::jthread([this] { run(); });
  }
  ~ClockRequest() override {
    state_ = kEnd;
    state_.notify_all();
  }
  std::size_t batch() const override { return batch_; }
  Size input_size() const override { return input_; }
  std::span<float> input(std::size_t) override {
    floats_.resize(3 * static_cast<std::size_t>(input_.width) *
                   static_cast<std::size_t>(input_.height));
    is_shown_ = true;
    return floats_;
  }
  bool takes_pictures() const override { return true; }
  Result<void> set_picture(std::size_t item, const Picture& picture, const Letterbox&,
                           const InputStyle&) override {
    std::vector<std::uint8_t>& host = host_[item];
    const auto width = static_cast<std::size_t>(picture.size.width);
    const auto height = static_cast<std::size_t>(picture.size.height);
    host.resize(width * height * 3 / 2 + 2 * height);
    std::uint8_t* to = host.data();
    for (std::size_t p = 0; p < picture.planes.size(); ++p) {
      if (picture.planes[p].data == nullptr) continue;
      const std::size_t rows = p == 0 ? height : height / 2, bytes = p == 0 ? width : width / 2;
      for (std::size_t y = 0; y < rows; ++y, to += bytes)
        std::memcpy(to,
                    picture.planes[p].data + y * static_cast<std::size_t>(picture.planes[p].stride),
                    bytes);
    }
    return {};
  }
  void start(std::function<void(Result<void>)> done) override {
    done_ = std::move(done);
    state_ = kRun;
    state_.notify_all();
  }
  std::span<const float> output(std::size_t item) override {
    const std::size_t each = output_.size() / batch_;
    // The self-test wants outputs that depend on the input.
    if (std::exchange(is_shown_, false)) output_.back() = .002F * floats_.at(floats_.size() / 2);
    return std::span<const float>(output_).subspan(item * each, each);
  }

 private:
  enum State { kIdle, kRun, kEnd };
  void run() {
    for (;;) {
      state_.wait(kIdle);
      if (state_ == kEnd) return;
      device_->compute(batch_);
      state_ = kIdle;
      const auto done = std::move(done_);
      done({});
    }
  }

  const std::shared_ptr<ClockDevice> device_;
  const std::size_t batch_;
  const Size input_;
  std::vector<std::vector<std::uint8_t>> host_;
  std::vector<float> output_, floats_;
  bool is_shown_ = false;
  std::function<void(Result<void>)> done_;
  std::atomic<int> state_{kIdle};
  std::jthread thread_;
};

class ClockBackend final : public Backend {
 public:
  ClockBackend(std::shared_ptr<ClockDevice> device, Size input, std::size_t parallel)
      : device_(std::move(device)) {
    facts_ = {.path = "clock",
              .name = "clock",
              .hash = "clock",
              .runtime = "clock",
              .device = "clock:0",
              .device_name = "a clock",
              .precision = "fp16",
              .input = input,
              .batch_max = 32,
              .letterbox = "clock:0",
              .parallel_requests = parallel};
    facts_.outputs = {
        {"output0", {-1, 4 + kClasses, static_cast<std::int64_t>(candidates_of(input))}}};
  }
  const ModelFacts& facts() const override { return facts_; }
  Result<std::unique_ptr<InferRequest>> create_request(std::size_t batch, Size input) override {
    return std::unique_ptr<InferRequest>(std::make_unique<ClockRequest>(device_, batch, input));
  }

 private:
  const std::shared_ptr<ClockDevice> device_;
  ModelFacts facts_;
};

/// CPU seconds of this process by its threads' names, without the numbers at their ends; of those
/// that live. From schedstat: a camera's thread takes less than a tick of other clocks.
std::map<std::string, double> cpu_by_thread() {
  std::map<std::string, double> seconds;
  std::error_code ignored;
  for (const auto& entry : std::filesystem::directory_iterator("/proc/self/task", ignored)) {
    std::string name;
    std::getline(std::ifstream(entry.path() / "comm"), name);
    double ns = 0;
    std::ifstream(entry.path() / "schedstat") >> ns;
    seconds[name.substr(0, name.find_first_of(":-0123456789"))] += 1e-9 * ns;
  }
  return seconds;
}

struct Options {
  int cameras = 1;
  std::map<std::string, std::string> values{
      {"fixed_us", "300"}, {"each_us", "100"},  {"parallel", "3"},    {"rate", "10"},
      {"seconds", "8"},    {"size", "640x360"}, {"input", "640x384"}, {"policy", "full"},
      {"results", ""},     {"budget", ""}};
  [[nodiscard]] double number(const std::string& name) const {
    return std::atof(values.at(name).c_str());
  }
  [[nodiscard]] Size size(const std::string& name) const {
    Size size;
    std::sscanf(values.at(name).c_str(), "%dx%d", &size.width, &size.height);
    return size;
  }
};

RunSettings settings_of(const Options& options) {
  RunSettings settings;
  settings.models.push_back({.name = "objects", .path = "clock"});
  for (int i = 0; i < options.cameras; ++i) {
    CameraSettings camera;
    camera.id = fmt::format("c{}", i);
    camera.url = fmt::format("synthetic://?size={}&rate={}&seed={}", options.values.at("size"),
                             options.values.at("rate"), i);
    camera.rate_hz = options.number("rate");
    settings.cameras.push_back(std::move(camera));
  }
  settings.engine.pace = Pace::kLive;
  settings.engine.policy =
      options.values.at("policy") == "adaptive" ? PolicyKind::kAdaptive : PolicyKind::kFull;
  if (!options.values.at("budget").empty()) settings.engine.budget.share = options.number("budget");
  settings.output.results = options.values.at("results");
  return settings;
}

int run(const Options& options) {
  const auto fixed = std::chrono::microseconds(static_cast<int>(options.number("fixed_us")));
  const auto each = std::chrono::microseconds(static_cast<int>(options.number("each_us")));
  const auto device = std::make_shared<ClockDevice>(fixed, each);
  Result<std::unique_ptr<Detector>> detector = Detector::create(
      std::make_unique<ClockBackend>(device, options.size("input"),
                                     static_cast<std::size_t>(options.number("parallel"))),
      {});
  if (!detector) return std::fprintf(stderr, "%s\n", detector.error().message().c_str()), 1;
  std::atomic<std::int64_t> inferred = 0, unanswered = 0, late = 0;
  EngineHooks hooks;
  hooks.models.push_back(*std::move(detector));
  hooks.on_answer = [&](const Answer& answer) {
    inferred += answer.origin == Origin::kInferred;
    unanswered += answer.origin == Origin::kNone;
    late += answer.latency && *answer.latency > answer.slo;
  };
  const SystemClock clock;
  Result<std::unique_ptr<Engine>> engine =
      Engine::create(settings_of(options), clock, std::move(hooks));
  if (!engine) return std::fprintf(stderr, "%s\n", engine.error().message().c_str()), 1;
  (*engine)->start();
  std::this_thread::sleep_for(std::chrono::seconds(2));
  const auto cpu_before = cpu_by_thread();
  const std::int64_t inferred_before = inferred, unanswered_before = unanswered, late_before = late;
  const RunReport before = (*engine)->report(ReportDetail::kQuick);
  const auto begin = Steady::now();
  std::this_thread::sleep_for(std::chrono::duration<double>(options.number("seconds")));
  const double wall = std::chrono::duration<double>(Steady::now() - begin).count();
  const double rate = static_cast<double>(inferred - inferred_before) / wall;
  const RunReport report = (*engine)->report(ReportDetail::kQuick);
  const auto cpu_after = cpu_by_thread();
  const double can =
      static_cast<double>(report.batch_frames) / to_seconds(device->time_of(report.batch_frames));
  const double frames = report.batch_mean * static_cast<double>(report.batches) -
                        before.batch_mean * static_cast<double>(before.batches);
  std::string threads;
  for (const auto& [name, seconds] : cpu_after) {
    const auto old = cpu_before.find(name);
    const double cores = (seconds - (old == cpu_before.end() ? 0 : old->second)) / wall;
    if (cores >= .005)
      threads += fmt::format("{}\"{}\": {:.2f}", threads.empty() ? "" : ", ", name, cores);
  }
  fmt::print(
      "{{\"cameras\": {}, \"inferences_per_s\": {:.1f}, \"device_can\": {:.1f}, \"share\": {:.3f}, "
      "\"knee\": {}, \"mean_batch\": {:.1f}, "
      "\"unanswered_per_s\": {:.1f}, \"late_per_s\": {:.1f}, \"cores\": {{{}}}}}\n",
      options.cameras, rate, can, rate / can, report.batch_frames,
      frames / static_cast<double>(std::max<std::int64_t>(1, report.batches - before.batches)),
      static_cast<double>(unanswered - unanswered_before) / wall,
      static_cast<double>(late - late_before) / wall, threads);
  std::fflush(stdout);
  (*engine)->request_stop();
  const RunReport end = (*engine)->finish();
  return end.is_conserved() ? 0 : 1;
}

}  // namespace

int main(int argc, char** argv) {
  Options options;
  bool is_right = argc >= 2;
  if (is_right) options.cameras = std::atoi(argv[1]);
  for (int i = 2; i < argc; ++i) {
    const std::string word = argv[i];
    const std::size_t equals = std::min(word.find('='), word.size());
    is_right &= options.values.contains(word.substr(0, equals)) && equals < word.size();
    if (is_right) options.values[word.substr(0, equals)] = word.substr(equals + 1);
  }
  if (!is_right || options.cameras < 1) {
    std::fprintf(stderr,
                 "usage: engine_load CAMERAS [NAME=VALUE...]; see the head of engine_load.cc\n");
    return 2;
  }
  return run(options);
}
