#include "framemill/infer/fake_backend.h"

#include <algorithm>
#include <chrono>
#include <deque>
#include <thread>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "framemill/base/mutex.h"

namespace framemill {
namespace {

constexpr int kCell = 32;  // the coarsest grid, which the brightness is looked at in
constexpr float kBorderUnit = 114.0F / 255.0F;
constexpr float kContrast = 0.05F;  // how much brighter than the border an object is
constexpr float kScoreFound = 0.9F;
constexpr float kScoreNothing = 0.01F;
constexpr auto kHangPoll = std::chrono::milliseconds(1);

std::size_t cell_count(Size input) {
  std::size_t count = 0;
  for (const int stride : {8, 16, 32})
    count += static_cast<std::size_t>((input.width + stride - 1) / stride) *
             static_cast<std::size_t>((input.height + stride - 1) / stride);
  return count;
}

/// Fills one item's [4+C,N] output: the bright area, if there is one, as candidate 0.
void detect_bright_area(Size input, int class_count, std::span<const float> tensor,
                        std::span<float> output) {
  const std::size_t count = cell_count(input);
  const auto boxes = output.subspan(0, 4 * count);
  std::ranges::fill(boxes, 1.0F);
  // A range of 0..255 shows in the border: the top left corner is border, or bright itself.
  const float scale = tensor[0] > 1.5F ? 255.0F : 1.0F;
  const float least = (kBorderUnit + kContrast) * scale;
  std::ranges::fill(output.subspan(4 * count, static_cast<std::size_t>(class_count) * count),
                    kScoreNothing);
  const std::size_t plane = tensor.size() / 3;
  const auto width = static_cast<std::size_t>(input.width);
  int left = input.width, top = input.height, right = 0, bottom = 0;
  for (int y0 = 0; y0 < input.height; y0 += kCell) {
    for (int x0 = 0; x0 < input.width; x0 += kCell) {
      const int x1 = std::min(x0 + kCell, input.width);
      const int y1 = std::min(y0 + kCell, input.height);
      float sum = 0;
      int samples = 0;
      for (int y = y0; y < y1; y += 4)
        for (int x = x0; x < x1; x += 4, ++samples) {
          const std::size_t at = static_cast<std::size_t>(y) * width + static_cast<std::size_t>(x);
          sum += (tensor[at] + tensor[plane + at] + tensor[2 * plane + at]) / 3;
        }
      if (sum / static_cast<float>(samples) <= least) continue;
      left = std::min(left, x0);
      top = std::min(top, y0);
      right = std::max(right, x1);
      bottom = std::max(bottom, y1);
    }
  }
  if (right <= left) return;
  output[0] = static_cast<float>(left + right) / 2;
  output[count] = static_cast<float>(top + bottom) / 2;
  output[2 * count] = static_cast<float>(right - left);
  output[3 * count] = static_cast<float>(bottom - top);
  output[4 * count] = kScoreFound;
}

/// What a lane needs of a request; the lane keeps it until the request is done.
struct RequestState {
  std::atomic<int> pending{
      0};  ///< jobs whose `done` has not returned; 2 for a moment when restarted
  std::atomic<bool> is_abandoned{false};  ///< the request goes away: do not hang
};
struct Job {
  std::size_t batch = 0;
  std::function<void()> compute;  ///< fills the outputs
  std::function<void(Result<void>)> done;
  std::shared_ptr<RequestState> request;
};

/// The threads that stand for a device. Shared by the backend and its requests, so it goes after
/// them.
class FakeLanes {
 public:
  FakeLanes(const FakeBackendOptions& options, std::shared_ptr<FakeBackendControl> control)
      : options_(options), control_(std::move(control)), life_(control_->lives) {
    for (std::size_t i = 0; i < std::max<std::size_t>(options.parallel_requests, 1); ++i)
      threads_.emplace_back([this] { run(); });
  }
  FakeLanes(const FakeLanes&) = delete;
  FakeLanes& operator=(const FakeLanes&) = delete;
  ~FakeLanes() {
    {
      const MutexLock lock(mu_);
      is_stopping_ = true;
    }
    changed_.notify_all();
  }

  [[nodiscard]] bool is_gone() const { return control_->gone || control_->lives != life_; }

  /// Takes as long as making a request does.
  void load() const { std::this_thread::sleep_for(std::chrono::milliseconds(control_->load_ms)); }

  /// Memory for a request's pictures; false: there is none left.
  [[nodiscard]] bool take_memory(std::size_t pictures) {
    const std::size_t held = control_->pictures_held += pictures;
    const std::size_t limit = control_->memory_pictures;
    if (limit == 0 || held <= limit) return true;
    give_memory_back(pictures);
    return false;
  }
  void give_memory_back(std::size_t pictures) { control_->pictures_held -= pictures; }

  void submit(Job job) EXCLUDES(mu_) {
    ++control_->started;
    const std::int64_t in_flight = ++control_->in_flight;
    std::int64_t peak = control_->in_flight_peak;
    while (in_flight > peak && !control_->in_flight_peak.compare_exchange_weak(peak, in_flight)) {
    }
    {
      const MutexLock lock(mu_);
      jobs_.push_back(std::move(job));  // as many as there are requests
    }
    changed_.notify_all();
  }

 private:
  void run() EXCLUDES(mu_) {
    for (;;) {
      Job job;
      {
        const MutexLock lock(mu_);
        while (jobs_.empty() && !is_stopping_) changed_.wait(mu_);
        if (jobs_.empty()) return;
        job = std::move(jobs_.front());
        jobs_.pop_front();
      }
      const Result<void> result = serve(job);
      --control_->in_flight;
      ++control_->finished;
      job.done(result);
      --job.request->pending;
      job.request->pending.notify_all();
    }
  }

  Result<void> serve(const Job& job) EXCLUDES(mu_) {
    const Duration service = options_.fixed + options_.per_item * static_cast<int>(job.batch);
    const auto due = std::chrono::steady_clock::now() + service * control_->slowdown.load();
    job.compute();
    while (control_->hang) {  // whoever clears it need not know of this thread
      if (job.request->is_abandoned) return fail(ErrorCode::kCancelled, "the request was given up");
      std::this_thread::sleep_for(kHangPoll);
    }
    std::this_thread::sleep_until(due);
    if (is_gone()) return fail(ErrorCode::kUnavailable, "the fake device is gone");
    const std::size_t memory = control_->memory_frames;
    if (memory > 0 && job.batch > memory)
      return fail(ErrorCode::kResourceExhausted, "the fake device is out of memory");
    if (control_->fail_all) return fail(ErrorCode::kInternal, "the fake backend was told to fail");
    return {};
  }

  const FakeBackendOptions options_;
  const std::shared_ptr<FakeBackendControl> control_;  // synchronizes itself
  const int life_;
  Mutex mu_;
  CondVar changed_;  // synchronizes itself
  std::deque<Job> jobs_ GUARDED_BY(mu_);
  bool is_stopping_ GUARDED_BY(mu_) = false;
  std::vector<std::jthread> threads_;  // last: ends before what it uses
};

class FakeRequest final : public InferRequest {
 public:
  FakeRequest(const FakeBackendOptions& options, std::shared_ptr<FakeLanes> lanes,
              std::size_t batch)
      : options_(options),
        lanes_(std::move(lanes)),
        batch_(batch),
        input_(batch * item_input_count()),
        output_(batch * item_output_count()) {}
  FakeRequest(const FakeRequest&) = delete;  // a lane may hold `this`
  FakeRequest& operator=(const FakeRequest&) = delete;
  ~FakeRequest() override {
    state_->is_abandoned = true;
    while (const int pending = state_->pending) state_->pending.wait(pending);
    lanes_->give_memory_back(batch_);
  }

  std::size_t batch() const override { return batch_; }
  Size input_size() const override { return options_.input; }
  std::span<float> input(std::size_t item) override {
    CHECK(item < batch_);
    return std::span(input_).subspan(item * item_input_count(), item_input_count());
  }
  void start(std::function<void(Result<void>)> done) override {
    ++state_->pending;
    lanes_->submit({.batch = batch_,
                    .compute = [this] { compute(); },
                    .done = std::move(done),
                    .request = state_});
  }
  std::span<const float> output(std::size_t item) override {
    CHECK(item < batch_);
    return std::span(output_).subspan(item * item_output_count(), item_output_count());
  }

 private:
  std::size_t item_input_count() const {
    return 3 * static_cast<std::size_t>(options_.input.width) *
           static_cast<std::size_t>(options_.input.height);
  }
  std::size_t item_output_count() const {
    return static_cast<std::size_t>(4 + options_.class_count) * cell_count(options_.input);
  }
  void compute() {
    for (std::size_t item = 0; item < batch_; ++item)
      detect_bright_area(
          options_.input, options_.class_count, input(item),
          std::span(output_).subspan(item * item_output_count(), item_output_count()));
  }

  const FakeBackendOptions options_;
  const std::shared_ptr<FakeLanes> lanes_;
  const std::size_t batch_;
  std::vector<float> input_;
  std::vector<float> output_;
  const std::shared_ptr<RequestState> state_ = std::make_shared<RequestState>();
};

class FakeBackend final : public Backend {
 public:
  FakeBackend(const FakeBackendOptions& options, std::shared_ptr<FakeBackendControl> control)
      : options_(options), lanes_(std::make_shared<FakeLanes>(options, std::move(control))) {
    facts_.path = "fake";
    facts_.name = "fake";
    facts_.hash = "fake";
    facts_.runtime = "fake";
    facts_.device = options.device;
    facts_.device_name = "no device";
    facts_.precision = "fp32";
    facts_.input = options.input;
    facts_.batch_max = options.batch_max;
    facts_.parallel_requests = std::max<std::size_t>(options.parallel_requests, 1);
    facts_.outputs = {
        {"output0",
         {-1, 4 + options.class_count, static_cast<std::int64_t>(cell_count(options.input))}}};
  }
  const ModelFacts& facts() const override { return facts_; }
  Result<std::unique_ptr<InferRequest>> create_request(std::size_t batch, Size input) override {
    if (batch < 1 || batch > facts_.batch_max || input != options_.input)
      return fail(ErrorCode::kInvalidArgument,
                  fmt::format("the fake backend takes batches of 1 to {} at {}x{}",
                              facts_.batch_max, options_.input.width, options_.input.height));
    lanes_->load();
    if (lanes_->is_gone()) return fail(ErrorCode::kUnavailable, "the fake device is gone");
    if (!lanes_->take_memory(batch))
      return fail(ErrorCode::kResourceExhausted, "the fake device has no memory left");
    return std::unique_ptr<InferRequest>(std::make_unique<FakeRequest>(options_, lanes_, batch));
  }

 private:
  const FakeBackendOptions options_;
  const std::shared_ptr<FakeLanes> lanes_;
  ModelFacts facts_;
};

}  // namespace

std::unique_ptr<Backend> create_fake_backend(const FakeBackendOptions& options,
                                             std::shared_ptr<FakeBackendControl> control) {
  return std::make_unique<FakeBackend>(options, std::move(control));
}

}  // namespace framemill
