// What a device does by itself, beside which a whole run is held: batches of a model, some at once,
// and nothing around them.
//   device_inference MODEL DEVICE BATCHES STREAMS SECONDS WHAT...
// BATCHES: 1,8,32. WHAT: "infer" (inference and the copy of its output alone), "letterbox"
// (pictures of 640x360, too), "detect" (and heads and NMS). Prints a JSON object for each batch and
// WHAT.
#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <future>
#include <memory>
#include <optional>
#include <semaphore>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

#include <sys/resource.h>

#include "framemill/core/grey_picture.h"
#include "framemill/infer/detector.h"

namespace {

using namespace framemill;
using Clock_ = std::chrono::steady_clock;

double cpu_seconds() {
  rusage self{};
  getrusage(RUSAGE_SELF, &self);
  const auto seconds = [](const timeval& t) {
    return static_cast<double>(t.tv_sec) + 1e-6 * static_cast<double>(t.tv_usec);
  };
  return seconds(self.ru_utime) + seconds(self.ru_stime);
}

struct Options {
  std::string model, device;
  std::vector<std::size_t> batches;
  std::size_t streams = 2;
  double seconds = 2;
};

/// One stream's loop: as many batches as the time allows.
void run(DetectorRequest& request, const Picture& picture, const std::string& what,
         Clock_::time_point end, std::atomic<std::size_t>& batches) {
  std::binary_semaphore done(0);
  while (Clock_::now() < end) {
    if (what != "infer")
      for (std::size_t i = 0; i < request.batch(); ++i)
        if (!request.set_picture(i, picture)) std::abort();
    request.start([&done](const Result<void>& result) {
      if (!result) std::fprintf(stderr, "%s\n", result.error().message().c_str()), std::abort();
      done.release();
    });
    done.acquire();
    if (what == "detect")
      for (std::size_t i = 0; i < request.batch(); ++i) static_cast<void>(request.detections(i));
    ++batches;
  }
}

int measure(const Options& options, const std::vector<std::string>& whats) {
  DetectorOptions wanted;
  wanted.backend.path = options.model;
  wanted.backend.device = options.device;
  wanted.backend.runtime = RuntimeKind::kOnnxRuntime;
  wanted.backend.streams = options.streams;
  wanted.batch_max = 1;
  const Result<std::unique_ptr<Detector>> detector = Detector::load(wanted);
  if (!detector) return std::fprintf(stderr, "%s\n", detector.error().message().c_str()), 1;
  constexpr Size kPicture{640, 360};
  const auto picture = make_grey_picture(kPicture, 90);
  const Size input = (*detector)->input_for(kPicture);
  for (const std::size_t batch : options.batches) {
    std::vector<std::unique_ptr<DetectorRequest>> requests;
    const auto before = Clock_::now();
    // Side by side: each takes seconds on a graphics device.
    std::vector<std::future<Result<std::unique_ptr<DetectorRequest>>>> all_made;
    for (std::size_t i = 0; i < options.streams; ++i)
      all_made.push_back(std::async(
          std::launch::async, [&, batch] { return (*detector)->create_request(batch, input); }));
    std::optional<Error> error;
    for (auto& each : all_made) {
      Result<std::unique_ptr<DetectorRequest>> made = each.get();
      if (made)
        requests.push_back(*std::move(made));
      else
        error = made.error();
    }
    if (error) return std::fprintf(stderr, "%s\n", error->message().c_str()), 1;
    for (const std::string& what : whats) {
      std::atomic<std::size_t> count = 0;
      const auto all = [&](double seconds) {
        count = 0;
        const auto end = Clock_::now() + std::chrono::duration_cast<Clock_::duration>(
                                             std::chrono::duration<double>(seconds));
        std::vector<std::jthread> threads;
        for (const auto& request : requests)
          threads.emplace_back([&, end] { run(*request, *picture, what, end, count); });
      };
      all(.3);
      const double ready = std::chrono::duration<double>(Clock_::now() - before).count();
      const double cpu = cpu_seconds();
      const auto begin = Clock_::now();
      all(options.seconds);
      const double wall = std::chrono::duration<double>(Clock_::now() - begin).count();
      std::printf(
          "{\"model\": \"%s\", \"batch\": %zu, \"streams\": %zu, \"what\": \"%s\", "
          "\"frames_per_s\": %.1f, "
          "\"batch_ms\": %.3f, \"cores\": %.2f, \"ready_s\": %.1f, \"letterbox\": \"%s\"}\n",
          (*detector)->facts().name.c_str(), batch, options.streams, what.c_str(),
          static_cast<double>(count * batch) / wall,
          1e3 * wall * static_cast<double>(options.streams) /
              static_cast<double>(std::max<std::size_t>(1, count)),
          (cpu_seconds() - cpu) / wall, ready, (*detector)->facts().letterbox.c_str());
      std::fflush(stdout);
    }
  }
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 7) {
    std::fprintf(stderr, "usage: device_inference MODEL DEVICE BATCHES STREAMS SECONDS WHAT...\n");
    return 2;
  }
  Options options{.model = argv[1], .device = argv[2]};
  std::istringstream list(argv[3]);
  for (std::string word; std::getline(list, word, ',');)
    options.batches.push_back(std::stoul(word));
  options.streams = std::stoul(argv[4]);
  options.seconds = std::atof(argv[5]);
  return measure(options, std::vector<std::string>(argv + 6, argv + argc));
}
