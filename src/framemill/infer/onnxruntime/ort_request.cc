#include "framemill/infer/onnxruntime/ort_request.h"

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <functional>
#include <optional>
#include <semaphore>
#include <utility>
#include <vector>

#include "framemill/base/check.h"
#include "framemill/base/mutex.h"
#include "framemill/infer/cuda/cuda_batch.h"
#include "framemill/infer/half.h"
#include "framemill/infer/onnxruntime/device_run.h"
#include "framemill/infer/onnxruntime/ort_error.h"

// Every call into ONNX Runtime may throw; those of a request end here.
namespace framemill {
namespace {

class OrtRequest final : public InferRequest {
 public:
  OrtRequest(std::shared_ptr<OrtSession> session, std::size_t batch, Size input,
             std::size_t ordinal, std::unique_ptr<CudaBatch> device)
      : session_(std::move(session)),
        ports_(*session_->ports),
        batch_(batch),
        size_(input),
        thread_(session_->has_cuda_graphs ? ordinal % session_->threads->count()
                                          : RunThreads::kAnyThread),
        shape_(ports_.tensor_shape(batch, input)),
        device_(std::move(device)),
        is_filled_(batch, 0),
        binding_(session_->session) {
    if (session_->has_cuda_graphs)
      run_options_.AddConfigEntry("gpu_graph_id", "-1");  // of runs without a graph
    if (device_) {
      device_run_.emplace(*session_, *device_, shape_, ordinal + 1);
      return;  // memory of the host's follows if somebody asks for input()
    }
    make_input();
    // On the CPU bound once for ever: what is written into it is what the model reads.
    if (session_->cuda_index < 0) binding_.BindInput(ports_.input_name.c_str(), tensor_);
    bind_output();
  }

  ~OrtRequest() override {
    if (session_->threads->remove(this)) {
      std::function<void(Result<void>)> done;
      {
        const MutexLock lock(mu_);
        done = std::exchange(done_, nullptr);
      }
      done(fail(ErrorCode::kCancelled, "the inference was cancelled before it began"));
      return;
    }
    const MutexLock lock(mu_);
    if (is_running_) run_options_.SetTerminate();
    while (is_running_) changed_.wait(mu_);
  }

  /// Runs it until nothing about it is new. Kernels are chosen, and some compiled, in the first
  /// run, which takes seconds: on the calling thread, so that many requests can be made side by
  /// side. The next one captures a graph on the thread that it belongs to, or one of those after it
  /// while others are still being made. Errors: those of a run.
  Result<void> warm_up() {
    constexpr int kRuns = 2;
    constexpr int kRunsForGraph = 12;  // a second apart, and more
    Result<void> outcome;
    try {
      if (device_run_)
        outcome = device_run_->warm_up(run_options_);
      else
        outcome = infer();
    } catch (...) {
      outcome = fail_from_ort_exception(ErrorCode::kInternal, "the first inference failed");
    }
    const auto wants_graph = [this] { return device_run_ && device_run_->wants_graph(); };
    for (int i = 0; outcome && (i < kRuns || (i < kRunsForGraph && wants_graph())); ++i) {
      if (i >= kRuns) session_->gate->wait_for_quiet();
      std::binary_semaphore done(0);
      start([&](Result<void> result) {
        outcome = std::move(result);
        done.release();
      });
      done.acquire();
    }
    return outcome;
  }

  std::size_t batch() const override { return batch_; }
  Size input_size() const override { return size_; }

  std::span<float> input(std::size_t item) override {
    CHECK(item < batch_);
    if (!tensor_) make_input();
    is_filled_[item] = 1;
    const std::size_t count = item_values();
    float* const floats =
        staging_.empty() ? tensor_.GetTensorMutableData<float>() : staging_.data();
    return {floats + item * count, count};
  }

  bool takes_pictures() const override { return device_ != nullptr; }

  Result<void> set_picture(std::size_t item, const Picture& picture, const Letterbox& plan,
                           const InputStyle& style) override {
    if (!device_) return InferRequest::set_picture(item, picture, plan, style);
    return device_->set_picture(item, picture, plan, style);
  }

  void start(std::function<void(Result<void>)> done) override {
    {
      const MutexLock lock(mu_);
      CHECK(!is_running_);
      is_running_ = true;
      done_ = std::move(done);
    }
    // Copies and letterbox begin now, while another request computes.
    if (device_) device_started_ = device_->start();
    session_->threads->submit(this, thread_, [this] { run(); });
  }

  std::span<const float> output(std::size_t item) override {
    CHECK(item < batch_);
    const std::size_t count = output_.size() / batch_;
    return output_.subspan(item * count, count);
  }

 private:
  std::size_t item_values() const {
    return 3 * static_cast<std::size_t>(size_.width) * static_cast<std::size_t>(size_.height);
  }

  /// The input in the host's memory, all 0.
  void make_input() {
    const auto type = ports_.is_input_half ? ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT16
                                           : ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT;
    const CaptureGate::Use use(*session_->gate);
    tensor_ = make_tensor(type);
    const std::size_t count = tensor_.GetTensorTypeAndShapeInfo().GetElementCount();
    std::memset(tensor_.GetTensorMutableRawData(), 0,
                count * (ports_.is_input_half ? 2 : sizeof(float)));
    // A model of halves, or with the channels last, cannot be written into as it is.
    if (ports_.is_input_half || ports_.is_channels_last) staging_.resize(count);
  }

  /// Pinned memory where a device reads it, so that the copy there needs no other one.
  Ort::Value make_tensor(ONNXTensorElementDataType type) {
    if (session_->cuda_index >= 0) {
      try {
        const Ort::MemoryInfo pinned("CudaPinned", OrtDeviceAllocator, 0, OrtMemTypeCPUOutput);
        allocator_ = Ort::Allocator(session_->session, pinned);
        return Ort::Value::CreateTensor(allocator_, shape_.data(), shape_.size(), type);
      } catch (const Ort::Exception&) {  // a provider without such memory takes any
        allocator_ = Ort::Allocator(nullptr);
      }
    }
    const Ort::AllocatorWithDefaultOptions plain;
    return Ort::Value::CreateTensor(plain, shape_.data(), shape_.size(), type);
  }

  void bind_output() { binding_.BindOutput(ports_.output_name.c_str(), cpu_); }

  /// On a thread of the session's.
  void run() {
    Result<void> result;
    try {
      result = infer();
    } catch (...) {
      result = fail_from_ort_exception(ErrorCode::kInternal, "inference failed");
    }
    std::function<void(Result<void>)> done;
    {
      // Once it is not running, another thread may start or end the request: nothing of it is
      // touched any more.
      const MutexLock lock(mu_);
      done = std::exchange(done_, nullptr);
      is_running_ = false;
      changed_.notify_all();
    }
    done(std::move(result));
  }

  Result<void> infer() {
    if (device_) return infer_on_device();
    fill_tensor();
    if (session_->cuda_index >= 0) binding_.BindInput(ports_.input_name.c_str(), tensor_);
    if (!ports_.is_output_shape_fixed()) {
      binding_.ClearBoundOutputs();
      bind_output();
    }
    {
      const CaptureGate::Use use(*session_->gate);
      session_->session.Run(run_options_, binding_);
      binding_.SynchronizeOutputs();
      values_ = binding_.GetOutputValues();
    }
    const std::size_t count = values_.at(0).GetTensorTypeAndShapeInfo().GetElementCount();
    return take_output(values_[0].GetTensorRawData(), count);
  }

  /// The input is where the device put it; what input() was asked for goes there, too.
  Result<void> infer_on_device() {
    if (!device_started_) return device_started_;
    if (std::ranges::find(is_filled_, 1) != is_filled_.end()) {
      fill_tensor();
      const auto* const values = static_cast<const std::uint8_t*>(tensor_.GetTensorRawData());
      for (std::size_t item = 0; item < batch_; ++item)
        if (std::exchange(is_filled_[item], 0) != 0)
          if (const Result<void> put = device_->put(item, values + item * device_->item_bytes());
              !put)
            return put;
    }
    if (const Result<void> there = device_->wait(); !there) return there;
    const Result<std::span<const std::uint8_t>> output = device_run_->run(run_options_);
    if (!output) return fail(output.error());
    const std::size_t each = ports_.is_output_half ? 2 : sizeof(float);
    return take_output(output->data(), output->size() / each);
  }

  void fill_tensor() {
    if (staging_.empty()) return;
    std::span<const float> floats = staging_;
    if (ports_.is_channels_last) {
      interleave();
      floats = interleaved_;
    }
    const std::size_t count = floats.size();
    if (ports_.is_input_half)
      to_half(floats, {static_cast<std::uint16_t*>(tensor_.GetTensorMutableRawData()), count});
    else
      std::memcpy(tensor_.GetTensorMutableRawData(), floats.data(), count * sizeof(float));
  }

  /// Planes to pixels, picture by picture.
  void interleave() {
    interleaved_.resize(staging_.size());
    const std::size_t plane = item_values() / 3;
    for (std::size_t item = 0; item < batch_; ++item) {
      const float* const planes = staging_.data() + item * 3 * plane;
      float* const pixels = interleaved_.data() + item * 3 * plane;
      for (std::size_t i = 0; i < plane; ++i)
        for (std::size_t c = 0; c < 3; ++c) pixels[3 * i + c] = planes[c * plane + i];
    }
  }

  Result<void> take_output(const void* data, std::size_t count) {
    if (count == 0 || count % batch_ != 0)
      return fail(ErrorCode::kUnsupported,
                  "the model's output does not hold a part for each picture of the batch; export "
                  "it with a batch of 1");
    if (ports_.is_output_half) {
      floats_.resize(count);
      to_float({static_cast<const std::uint16_t*>(data), count}, floats_);
      output_ = floats_;
    } else {
      output_ = {static_cast<const float*>(data), count};
    }
    return {};
  }

  const std::shared_ptr<OrtSession> session_;
  const ModelPorts& ports_;  // the session's
  const std::size_t batch_;
  const Size size_;
  const std::size_t thread_;
  const std::vector<std::int64_t> shape_;
  const Ort::MemoryInfo cpu_ = Ort::MemoryInfo::CreateCpu(OrtArenaAllocator, OrtMemTypeDefault);
  const std::unique_ptr<CudaBatch> device_;  // null: pictures are letterboxed on the host
  Result<void> device_started_;
  std::vector<char> is_filled_;        // by input(), since the last run
  Ort::Allocator allocator_{nullptr};  // outlives what it made
  Ort::Value tensor_{nullptr};
  Ort::IoBinding binding_;
  Ort::RunOptions run_options_;
  std::optional<DeviceRun> device_run_;       // with device_
  std::vector<float> staging_, interleaved_;  // empty where the tensor is written into
  std::vector<Ort::Value> values_;            // keeps what output_ points into
  std::vector<float> floats_;
  std::span<const float> output_;
  Mutex mu_;
  CondVar changed_;
  bool is_running_ GUARDED_BY(mu_) = false;
  std::function<void(Result<void>)> done_ GUARDED_BY(mu_);
};

}  // namespace

Result<std::unique_ptr<InferRequest>> make_ort_request(std::shared_ptr<OrtSession> session,
                                                       std::size_t batch, Size input,
                                                       std::size_t ordinal) {
  std::unique_ptr<CudaBatch> device;
  if (session->letterbox) {
    const ModelPorts& ports = *session->ports;
    const CudaBatch::Shape shape{.batch = batch,
                                 .size = input,
                                 .is_channels_last = ports.is_channels_last,
                                 .is_half = ports.is_input_half};
    Result<std::unique_ptr<CudaBatch>> made = CudaBatch::create(
        session->letterbox, shape,
        session->cuda_index < 0 ? CudaBatch::Memory::kHostMapped : CudaBatch::Memory::kDevice);
    if (!made) return fail(made.error());
    device = *std::move(made);
  }
  const bool is_graphics_device = session->cuda_index >= 0;
  auto request =
      std::make_unique<OrtRequest>(std::move(session), batch, input, ordinal, std::move(device));
  if (is_graphics_device)
    if (const Result<void> warm = request->warm_up(); !warm) return fail(warm.error());
  return std::unique_ptr<InferRequest>(std::move(request));
}

}  // namespace framemill
