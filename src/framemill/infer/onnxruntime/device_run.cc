#include "framemill/infer/onnxruntime/device_run.h"

#include <cmath>
#include <cstring>
#include <string>
#include <string_view>

#include "framemill/infer/half.h"

namespace framemill {
namespace {

Ort::MemoryInfo memory_of(const OrtSession& session) {
  if (session.cuda_index < 0)
    return Ort::MemoryInfo::CreateCpu(OrtArenaAllocator, OrtMemTypeDefault);
  return {"Cuda", OrtDeviceAllocator, session.cuda_index, OrtMemTypeDefault};
}

/// Not by the address of floats: the bytes come as they are.
std::vector<float> floats_of(std::span<const std::uint8_t> bytes, bool is_half) {
  std::vector<float> floats(bytes.size() / (is_half ? 2 : sizeof(float)));
  if (is_half) {
    std::vector<std::uint16_t> halves(floats.size());
    std::memcpy(halves.data(), bytes.data(), 2 * halves.size());
    to_float(halves, floats);
  } else {
    std::memcpy(floats.data(), bytes.data(), sizeof(float) * floats.size());
  }
  return floats;
}

}  // namespace

bool is_same_output(std::span<const std::uint8_t> a, std::span<const std::uint8_t> b,
                    bool is_half) {
  if (a.size() != b.size()) return false;
  const std::vector<float> left = floats_of(a, is_half);
  const std::vector<float> right = floats_of(b, is_half);
  constexpr float kTolerance = .01F;
  std::size_t others = 0;
  for (std::size_t i = 0; i < left.size(); ++i) {
    if (std::isfinite(left[i]) != std::isfinite(right[i])) return false;
    if (std::abs(left[i] - right[i]) > kTolerance * (1 + std::abs(left[i]))) ++others;
  }
  return 1000 * others <= left.size();
}

DeviceRun::DeviceRun(OrtSession& session, CudaBatch& batch,
                     const std::vector<std::int64_t>& input_shape, std::size_t graph_id)
    : session_(session),
      batch_(batch),
      memory_(memory_of(session)),
      binding_(session.session),
      graph_(session.has_cuda_graphs ? Graph::kToCapture : Graph::kNone) {
  const auto type = session.ports->is_input_half ? ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT16
                                                 : ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT;
  input_ = Ort::Value::CreateTensor(memory_, batch.tensor(), batch.tensor_bytes(),
                                    input_shape.data(), input_shape.size(), type);
  binding_.BindInput(session.ports->input_name.c_str(), input_);
  bind_output();
  captured_.AddConfigEntry("gpu_graph_id", std::to_string(graph_id).c_str());
}

void DeviceRun::bind_output() { binding_.BindOutput(session_.ports->output_name.c_str(), memory_); }

Result<std::span<const std::uint8_t>> DeviceRun::run(const Ort::RunOptions& options) {
  if (graph_ == Graph::kReady) {
    const CaptureGate::Use use(*session_.gate);
    session_.session.Run(captured_, binding_);
  } else {
    const Result<std::span<const std::uint8_t>> plain = run_plain(options);
    if (!plain || graph_ != Graph::kToCapture || !session_.gate->may_capture()) return plain;
    if (const Result<void> tried = capture(*plain); !tried) return fail(tried.error());
  }
  return output();
}

Result<void> DeviceRun::warm_up(const Ort::RunOptions& options) {
  // Kernels are chosen, and some compiled.
  const Result<std::span<const std::uint8_t>> output =
      run_plain(options, CaptureGate::Length::kLong);
  return output ? Result<void>() : fail(output.error());
}

Result<std::span<const std::uint8_t>> DeviceRun::run_plain(const Ort::RunOptions& options,
                                                           CaptureGate::Length length) {
  {
    const CaptureGate::Use use(*session_.gate, length);
    if (!session_.ports->is_output_shape_fixed()) {
      binding_.ClearBoundOutputs();
      bind_output();
    }
    session_.session.Run(options, binding_);
    binding_.SynchronizeOutputs();
    outputs_ = binding_.GetOutputValues();
  }
  return output();
}

/// Afterwards outputs_ holds what the input gives, with a graph or without one.
Result<void> DeviceRun::capture(std::span<const std::uint8_t> plain) {
  graph_ = Graph::kNone;
  const std::vector<std::uint8_t> wanted(plain.begin(), plain.end());
  binding_.BindOutput(session_.ports->output_name.c_str(), outputs_.at(0));
  if (const Result<void> poisoned = poison_output(); !poisoned) return poisoned;
  const Captured captured = run_captured();
  if (captured == Captured::kNotNow) graph_ = Graph::kToCapture;
  if (captured == Captured::kYes) {
    const Result<std::span<const std::uint8_t>> got = output();
    if (!got) return fail(got.error());
    if (is_same_output(wanted, *got, session_.ports->is_output_half)) {
      graph_ = Graph::kReady;
      return {};
    }
  }
  // Without a graph, then: the output gets memory of its own again, and this input its answer.
  bind_output();
  Ort::RunOptions plain_options;
  plain_options.AddConfigEntry("gpu_graph_id", "-1");
  const Result<std::span<const std::uint8_t>> again = run_plain(plain_options);
  return again ? Result<void>() : fail(again.error());
}

Result<void> DeviceRun::poison_output() {
  void* const data = outputs_.at(0).GetTensorMutableRawData();
  if (!is_cpu()) return batch_.poison(data, output_bytes());
  std::memset(data, 0xFF, output_bytes());
  return {};
}

DeviceRun::Captured DeviceRun::run_captured() {
  const CaptureGate::Capture capture(*session_.gate);
  if (!capture.is_alone()) return Captured::kNotNow;
  try {
    session_.session.Run(captured_, binding_);
    return Captured::kYes;
  } catch (const Ort::Exception& e) {
    if (std::string_view(e.what()).find("terminate flag") != std::string_view::npos) throw;
    return Captured::kNo;
  }
}

std::size_t DeviceRun::output_bytes() const {
  return outputs_.at(0).GetTensorTypeAndShapeInfo().GetElementCount() *
         (session_.ports->is_output_half ? 2 : sizeof(float));
}

Result<std::span<const std::uint8_t>> DeviceRun::output() {
  const void* const data = outputs_.at(0).GetTensorRawData();
  if (!is_cpu()) return batch_.fetch(data, output_bytes());
  return std::span(static_cast<const std::uint8_t*>(data), output_bytes());
}

}  // namespace framemill
