// The bare inference loop that `framemill run` is compared with: the same runtime, model and
// streams, and nothing else. bare_inference MODEL STREAMS INFERENCES prints one JSON object.
#include <chrono>
#include <condition_variable>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <mutex>
#include <random>
#include <vector>

#include <openvino/openvino.hpp>
#include <sys/resource.h>

namespace {

double cpu_seconds() {
  rusage self{};
  getrusage(RUSAGE_SELF, &self);
  const auto seconds = [](const timeval& t) {
    return static_cast<double>(t.tv_sec) + 1e-6 * static_cast<double>(t.tv_usec);
  };
  return seconds(self.ru_utime) + seconds(self.ru_stime);
}

void fill_with_noise(ov::Tensor tensor, unsigned seed) {
  std::minstd_rand random(seed);
  std::uniform_real_distribution<float> value(0.0F, 1.0F);
  float* const data = tensor.data<float>();
  for (std::size_t i = 0; i < tensor.get_size(); ++i) data[i] = value(random);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 4) {
    std::fprintf(stderr, "usage: bare_inference MODEL STREAMS INFERENCES\n");
    return 2;
  }
  const auto streams = static_cast<std::size_t>(std::atoi(argv[2]));
  const int inferences = std::atoi(argv[3]);
  ov::Core core;
  auto model = core.read_model(argv[1]);
  ov::PartialShape shape = model->input().get_partial_shape();
  shape[0] = 1;
  model->reshape(shape);
  ov::CompiledModel compiled = core.compile_model(
      model, "CPU", ov::num_streams(ov::streams::Num(static_cast<int>(streams))),
      ov::inference_num_threads(static_cast<int>(streams)), ov::hint::enable_cpu_pinning(false));

  std::vector<ov::InferRequest> requests;
  for (std::size_t i = 0; i < streams; ++i) {
    requests.push_back(compiled.create_infer_request());
    fill_with_noise(requests.back().get_input_tensor(), static_cast<unsigned>(i + 1));
    requests.back().infer();
  }
  std::mutex mu;
  std::condition_variable idle_changed;
  std::vector<std::size_t> idle;
  for (std::size_t i = 0; i < streams; ++i) {
    idle.push_back(i);
    requests[i].set_callback([&, i](std::exception_ptr) {
      const std::lock_guard lock(mu);
      idle.push_back(i);
      idle_changed.notify_one();
    });
  }
  const double cpu_before = cpu_seconds();
  const auto before = std::chrono::steady_clock::now();
  for (int n = 0; n < inferences; ++n) {
    std::size_t next = 0;
    {
      std::unique_lock lock(mu);
      idle_changed.wait(lock, [&] { return !idle.empty(); });
      next = idle.back();
      idle.pop_back();
    }
    requests[next].start_async();
  }
  {
    std::unique_lock lock(mu);
    idle_changed.wait(lock, [&] { return idle.size() == streams; });
  }
  const std::chrono::duration<double> wall = std::chrono::steady_clock::now() - before;
  std::printf("{\"inferences\": %d, \"wall_s\": %.4f, \"cpu_s\": %.4f}\n", inferences, wall.count(),
              cpu_seconds() - cpu_before);
  return 0;
}
