#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "framemill/base/result.h"
#include "framemill/infer/cuda/cuda_batch.h"
#include "framemill/infer/onnxruntime/ort_session.h"

namespace framemill {

/// Runs a session on the input that a CudaBatch holds, and brings the output to the host. Where the
/// session may, from the second run on as a captured CUDA graph: the kernels of a whole inference
/// are launched as one. A graph is used only if it gave what the plain run gave for the same input,
/// in memory that was made unreadable before.
/// Thread-safety: one thread, with graphs always the
/// same.
class DeviceRun {
 public:
  /// Session and batch outlive it. `graph_id` >= 1, unique in the session. Throws what ONNX Runtime
  /// throws.
  DeviceRun(OrtSession& session, CudaBatch& batch, const std::vector<std::int64_t>& input_shape,
            std::size_t graph_id);

  /// The first output, as it lies in memory; valid until the next call. `options`: of plain runs.
  /// Throws what ONNX Runtime throws. Errors: those of CudaBatch::fetch().
  Result<std::span<const std::uint8_t>> run(const Ort::RunOptions& options);

  /// A run without a graph, on any thread, of whatever the input holds. Throws and fails as run().
  Result<void> warm_up(const Ort::RunOptions& options);

  [[nodiscard]] bool has_graph() const { return graph_ == Graph::kReady; }
  /// It may have one, but others were at the device: a later run tries again.
  [[nodiscard]] bool wants_graph() const { return graph_ == Graph::kToCapture; }

 private:
  enum class Graph { kNone, kToCapture, kReady };
  enum class Captured { kYes, kNo, kNotNow };

  Result<std::span<const std::uint8_t>> run_plain(
      const Ort::RunOptions& options, CaptureGate::Length length = CaptureGate::Length::kShort);
  Result<void> poison_output();
  Result<void> capture(std::span<const std::uint8_t> plain);
  Captured run_captured();
  void bind_output();
  [[nodiscard]] bool is_cpu() const { return session_.cuda_index < 0; }
  [[nodiscard]] std::size_t output_bytes() const;
  Result<std::span<const std::uint8_t>> output();

  OrtSession& session_;
  CudaBatch& batch_;
  const Ort::MemoryInfo memory_;
  Ort::Value input_{nullptr};
  Ort::IoBinding binding_;
  Ort::RunOptions captured_;
  std::vector<Ort::Value> outputs_;  ///< of the last plain run; the graph's, once there is one
  Graph graph_;
};

/// Whether two outputs, as they lie in memory, are the same but for the last bits of some values:
/// at most one in a thousand may differ by more than a hundredth, none may be no number in one of
/// them only. Pure.
[[nodiscard]] bool is_same_output(std::span<const std::uint8_t> a, std::span<const std::uint8_t> b,
                                  bool is_half);

}  // namespace framemill
