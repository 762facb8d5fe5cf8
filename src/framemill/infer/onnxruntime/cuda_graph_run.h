#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "framemill/infer/onnxruntime/ort_session.h"

namespace framemill {

/// Runs a session of one shape on an NVIDIA device as a captured CUDA graph: the kernels of a whole
/// inference are launched as one. Input and output stay at their places on the device, and the
/// bytes are copied there and back.
/// Not proven on a device yet: see docs/inference.md. Thread-safety: one thread, always the same.
class CudaGraphRun {
 public:
  /// Null where CUDA's runtime library is not loaded. `graph_id` >= 1, unique in the session.
  /// Throws what ONNX Runtime throws.
  static std::unique_ptr<CudaGraphRun> create(OrtSession& session,
                                              const std::vector<std::int64_t>& input_shape,
                                              std::size_t graph_id);
  ~CudaGraphRun();

  /// Copies `input` there, runs, and copies the output into `output`, which gets its size. The
  /// first call also runs once without the graph, to learn the output's shape, and captures. Throws
  /// what ONNX Runtime throws, and std::runtime_error for a copy that fails.
  void run(const Ort::RunOptions& plain, const void* input, std::vector<std::uint8_t>& output);

 private:
  struct State;
  explicit CudaGraphRun(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace framemill
