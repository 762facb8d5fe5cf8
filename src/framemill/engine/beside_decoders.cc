#include "framemill/engine/beside_decoders.h"

#include <thread>

#include "framemill/base/cpu_time.h"
#include "framemill/base/thread_name.h"
#include "framemill/video/source.h"

namespace framemill {
namespace {

/// Of a camera at the usual 25 frames/s.
constexpr Duration kFramePeriod = std::chrono::milliseconds(40);

}  // namespace

struct BesideDecoders::Camera {
  std::unique_ptr<Source> source;
  std::atomic<std::int64_t> cpu_ns{0};
  std::thread thread;
};

BesideDecoders::BesideDecoders(const std::string& clip, std::size_t count, const Clock& clock)
    : clock_(clock) {
  SourceOptions options;
  options.url = clip;
  options.is_looped = true;
  for (std::size_t i = 0; i < count; ++i) {
    Result<std::unique_ptr<Source>> source = create_source(options, clock_);
    if (!source) {
      const MutexLock lock(mu_);
      status_ = fail(source.error());
      return;
    }
    auto camera = std::make_unique<Camera>();
    camera->source = *std::move(source);
    cameras_.push_back(std::move(camera));
  }
  for (std::size_t i = 0; i < cameras_.size(); ++i) {
    Camera& camera = *cameras_[i];
    const Duration phase =
        kFramePeriod * static_cast<std::int64_t>(i) / static_cast<std::int64_t>(cameras_.size());
    camera.thread = std::thread([this, &camera, phase] { work(camera, phase); });
  }
}

BesideDecoders::~BesideDecoders() {
  is_over_ = true;
  for (const auto& camera : cameras_) camera->source->interrupt();
  for (const auto& camera : cameras_) {
    if (camera->thread.joinable()) camera->thread.join();
  }
}

void BesideDecoders::work(Camera& camera, Duration phase) {
  name_this_thread("decoder");
  std::this_thread::sleep_for(phase);  // cameras do not deliver all at the same moment
  const Duration zero = thread_cpu_time();
  Result<void> status = camera.source->open();
  while (status && !is_over_) {
    const auto frame = camera.source->read();
    camera.cpu_ns = (thread_cpu_time() - zero).count();
    if (!frame) status = fail(frame.error());
    if (frame && !*frame) break;
  }
  if (status || is_over_) return;
  const MutexLock lock(mu_);
  if (status_) status_ = std::move(status);
}

Duration BesideDecoders::cpu() const {
  Duration sum{0};
  for (const auto& camera : cameras_) sum += Duration(camera->cpu_ns.load());
  return sum;
}

Result<void> BesideDecoders::status() const {
  const MutexLock lock(mu_);
  return status_;
}

}  // namespace framemill
