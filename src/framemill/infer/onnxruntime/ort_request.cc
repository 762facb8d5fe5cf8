#include "framemill/infer/onnxruntime/ort_request.h"

#include <cstdint>
#include <cstring>
#include <exception>
#include <functional>
#include <string_view>
#include <utility>
#include <vector>

#include "framemill/base/check.h"
#include "framemill/base/mutex.h"
#include "framemill/infer/half.h"
#include "framemill/infer/onnxruntime/cuda_graph_run.h"
#include "framemill/infer/onnxruntime/ort_error.h"

// Every call into ONNX Runtime may throw; those of a request end here.
namespace framemill {
namespace {

class OrtRequest final : public InferRequest {
 public:
  OrtRequest(std::shared_ptr<OrtSession> session, std::size_t batch, Size input,
             std::size_t ordinal)
      : session_(std::move(session)),
        ports_(*session_->ports),
        batch_(batch),
        size_(input),
        thread_(session_->has_cuda_graphs ? ordinal % session_->threads->count()
                                          : RunThreads::kAnyThread),
        shape_(ports_.tensor_shape(batch, input)),
        binding_(session_->session) {
    const auto type = ports_.is_input_half ? ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT16
                                           : ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT;
    tensor_ = make_tensor(type);
    std::memset(tensor_.GetTensorMutableRawData(), 0,
                tensor_.GetTensorTypeAndShapeInfo().GetElementCount() *
                    (ports_.is_input_half ? 2 : sizeof(float)));
    // A model of halves, or with the channels last, cannot be written into as it is.
    if (ports_.is_input_half || ports_.is_channels_last)
      staging_.resize(tensor_.GetTensorTypeAndShapeInfo().GetElementCount());
    if (session_->has_cuda_graphs) {
      graph_ = CudaGraphRun::create(*session_, shape_, ordinal + 1);
      run_options_.AddConfigEntry("gpu_graph_id", "-1");  // of runs without the graph
    }
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

  std::size_t batch() const override { return batch_; }
  Size input_size() const override { return size_; }

  std::span<float> input(std::size_t item) override {
    CHECK(item < batch_);
    const std::size_t count = item_values();
    float* const floats =
        staging_.empty() ? tensor_.GetTensorMutableData<float>() : staging_.data();
    return {floats + item * count, count};
  }

  void start(std::function<void(Result<void>)> done) override {
    {
      const MutexLock lock(mu_);
      CHECK(!is_running_);
      is_running_ = true;
      done_ = std::move(done);
    }
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

  /// The input: pinned memory where a device reads it, so that the copy there needs no other one.
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
    fill_tensor();
    if (graph_ && run_graph()) return {};
    if (session_->cuda_index >= 0) binding_.BindInput(ports_.input_name.c_str(), tensor_);
    if (!ports_.is_output_shape_fixed()) {
      binding_.ClearBoundOutputs();
      bind_output();
    }
    session_->session.Run(run_options_, binding_);
    binding_.SynchronizeOutputs();
    values_ = binding_.GetOutputValues();
    const std::size_t count = values_.at(0).GetTensorTypeAndShapeInfo().GetElementCount();
    return take_output(values_[0].GetTensorRawData(), count);
  }

  /// False: there is no graph from now on, and the plain way has to do it.
  bool run_graph() {
    try {
      graph_->run(run_options_, tensor_.GetTensorRawData(), graph_output_);
    } catch (const std::exception& e) {
      const std::string_view message = e.what();
      if (message.find("terminate flag") != std::string_view::npos) throw;
      graph_ = nullptr;
      return false;
    }
    const std::size_t each = ports_.is_output_half ? 2 : sizeof(float);
    return static_cast<bool>(take_output(graph_output_.data(), graph_output_.size() / each));
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
  Ort::Allocator allocator_{nullptr};  // outlives what it made
  Ort::Value tensor_{nullptr};
  Ort::IoBinding binding_;
  Ort::RunOptions run_options_;
  std::unique_ptr<CudaGraphRun> graph_;
  std::vector<std::uint8_t> graph_output_;
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

std::unique_ptr<InferRequest> make_ort_request(std::shared_ptr<OrtSession> session,
                                               std::size_t batch, Size input, std::size_t ordinal) {
  return std::make_unique<OrtRequest>(std::move(session), batch, input, ordinal);
}

}  // namespace framemill
