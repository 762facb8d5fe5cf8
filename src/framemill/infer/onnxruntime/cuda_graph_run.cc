#include "framemill/infer/onnxruntime/cuda_graph_run.h"

#include <stdexcept>
#include <string>
#include <utility>

#include <dlfcn.h>
#include <fmt/format.h>

namespace framemill {
namespace {

/// cudaMemcpy of CUDA's runtime, declared here by its documented binary interface.
using Copy = int (*)(void* to, const void* from, std::size_t bytes, int direction);
constexpr int kToDevice = 1, kToHost = 2;

/// The library that the provider brought into the process; null where there is none.
Copy find_copy() {
  if (void* const known = dlsym(RTLD_DEFAULT, "cudaMemcpy"); known != nullptr)
    return reinterpret_cast<Copy>(known);
  for (const char* const name : {"libcudart.so.13", "libcudart.so.12"})
    if (void* const library = dlopen(name, RTLD_NOW | RTLD_NOLOAD); library != nullptr)
      return reinterpret_cast<Copy>(dlsym(library, "cudaMemcpy"));
  return nullptr;
}

void copy_or_throw(Copy copy, void* to, const void* from, std::size_t bytes, int direction) {
  if (const int status = copy(to, from, bytes, direction); status != 0)
    throw std::runtime_error(fmt::format("CUDA failure {}: copying {} bytes", status, bytes));
}

std::size_t byte_count(const Ort::Value& tensor) {
  const auto info = tensor.GetTensorTypeAndShapeInfo();
  const std::size_t each =
      info.GetElementType() == ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT16 ? 2 : sizeof(float);
  return info.GetElementCount() * each;
}

}  // namespace

struct CudaGraphRun::State {
  OrtSession& session;
  Copy copy = nullptr;
  Ort::MemoryInfo memory;
  Ort::Allocator allocator;
  Ort::IoBinding binding;
  Ort::RunOptions captured;
  Ort::Value input{nullptr};
  std::vector<Ort::Value> outputs;  ///< one, once its shape is known
};

CudaGraphRun::CudaGraphRun(std::unique_ptr<State> state) : state_(std::move(state)) {}
CudaGraphRun::~CudaGraphRun() = default;

std::unique_ptr<CudaGraphRun> CudaGraphRun::create(OrtSession& session,
                                                   const std::vector<std::int64_t>& input_shape,
                                                   std::size_t graph_id) {
  const Copy copy = find_copy();
  if (copy == nullptr) return nullptr;
  Ort::MemoryInfo memory("Cuda", OrtDeviceAllocator, session.cuda_index, OrtMemTypeDefault);
  Ort::Allocator allocator(session.session, memory);
  auto state = std::unique_ptr<State>(new State{.session = session,
                                                .copy = copy,
                                                .memory = std::move(memory),
                                                .allocator = std::move(allocator),
                                                .binding = Ort::IoBinding(session.session),
                                                .captured = Ort::RunOptions(),
                                                .outputs = {}});
  state->captured.AddConfigEntry("gpu_graph_id", std::to_string(graph_id).c_str());
  state->input =
      Ort::Value::CreateTensor(state->allocator, input_shape.data(), input_shape.size(),
                               session.ports->is_input_half ? ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT16
                                                            : ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT);
  state->binding.BindInput(session.ports->input_name.c_str(), state->input);
  state->binding.BindOutput(session.ports->output_name.c_str(), state->memory);
  return std::unique_ptr<CudaGraphRun>(new CudaGraphRun(std::move(state)));
}

void CudaGraphRun::run(const Ort::RunOptions& plain, const void* input,
                       std::vector<std::uint8_t>& output) {
  State& s = *state_;
  copy_or_throw(s.copy, s.input.GetTensorMutableRawData(), input, byte_count(s.input), kToDevice);
  if (s.outputs.empty()) {
    s.session.session.Run(plain, s.binding);
    s.outputs = s.binding.GetOutputValues();
    s.binding.BindOutput(s.session.ports->output_name.c_str(), s.outputs.at(0));
  }
  s.session.session.Run(s.captured, s.binding);
  output.resize(byte_count(s.outputs[0]));
  copy_or_throw(s.copy, output.data(), s.outputs[0].GetTensorRawData(), output.size(), kToHost);
}

}  // namespace framemill
