#pragma once

#include <cstddef>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "framemill/base/result.h"
#include "framemill/core/geometry.h"
#include "framemill/core/picture.h"
#include "framemill/infer/runtime_choice.h"
#include "framemill/vision/letterbox.h"
#include "framemill/vision/yolo_head.h"

namespace framemill {

/// What a loaded model is and where it runs. Constant after loading.
struct ModelFacts {
  std::string path;
  std::string name;           ///< file name without extension; what results call the variant
  std::string hash;           ///< SHA-256 or another stable content hash of the file(s), hex
  std::string runtime;        ///< "OpenVINO 2026.4.1", "ONNX Runtime 1.31.1"
  std::string device;         ///< "CPU", "GPU.0", "cuda:0", ...
  std::string device_name;    ///< as the device calls itself
  std::string precision;      ///< "int8", "fp16", "fp32" by the weights, for people
  std::optional<Size> input;  ///< empty: any size that is a multiple of `input_multiple`
  int input_multiple = 32;
  std::size_t batch_max = 1;  ///< 1: fixed single; else the largest batch a request may have
  std::vector<OutputShape> outputs;
  std::map<std::string, std::string>
      metadata;                    ///< the model's own (ONNX metadata_props, IR rt_info)
  std::string letterbox = "host";  ///< where pictures are letterboxed: "host", "cuda:0"
  std::string letterbox_note;  ///< why not on the device that was to do it; empty: nothing to say
  std::size_t parallel_requests = 1;  ///< requests in flight at which throughput peaks
};

/// One batch on its way through a backend: fill input(), start(), read output(). Reused for ever.
/// Thread-safety: one thread at a time.
class InferRequest {
 public:
  virtual ~InferRequest() = default;
  [[nodiscard]] virtual std::size_t batch() const = 0;
  [[nodiscard]] virtual Size input_size() const = 0;
  /// Planar CHW floats of item `item`, 3 * width * height; memory of the request, so writing into
  /// it is the only copy. Called anew before each start() that is to see what is written.
  [[nodiscard]] virtual std::span<float> input(std::size_t item) = 0;
  /// True where the request letterboxes pictures itself: then set_picture() takes the place of
  /// writing into input(), which still works.
  [[nodiscard]] virtual bool takes_pictures() const { return false; }
  /// Copies what is needed of `picture`. `plan`: as for write_letterbox(). Different items may be
  /// set in parallel. Errors: kResourceExhausted, kUnavailable, kInternal; kUnsupported where
  /// pictures are not taken.
  virtual Result<void> set_picture(std::size_t item, const Picture& picture, const Letterbox& plan,
                                   const InputStyle& style);
  /// Runs asynchronously; `done` is called exactly once, from a thread of the backend, and may
  /// destroy or restart nothing but must hand over quickly. Errors: kInternal, kUnavailable (device
  /// lost), kResourceExhausted (out of memory), kCancelled (the request was ended meanwhile).
  virtual void start(std::function<void(Result<void>)> done) = 0;
  /// Valid after done(success) until the next start(): item `item` of the first output, contiguous.
  [[nodiscard]] virtual std::span<const float> output(std::size_t item) = 0;
};

/// A model on a device. Thread-safety: create_request() from any thread.
class Backend {
 public:
  virtual ~Backend() = default;
  [[nodiscard]] virtual const ModelFacts& facts() const = 0;
  /// `batch` in 1..facts().batch_max; `input` must be facts().input where that is fixed. May
  /// compile a variant of the model for that shape (seconds, cached on disk). Errors:
  /// kInvalidArgument for a shape it may not have, kResourceExhausted, kInternal.
  virtual Result<std::unique_ptr<InferRequest>> create_request(std::size_t batch, Size input) = 0;
  /// Lets go of what is kept on the device for requests that are no more: memory is short.
  virtual void forget_unused() {}
};

struct BackendOptions {
  std::string path;  ///< .onnx, .xml
  RuntimeKind runtime = RuntimeKind::kAuto;
  std::string device = "auto";  ///< "auto", "CPU", "GPU", "cuda:0", ... as the runtime names them
  Precision precision = Precision::kAuto;
  LetterboxOn letterbox_on = LetterboxOn::kAuto;
  std::size_t streams = 0;  ///< parallel inferences; 0: chosen from the cores
  std::size_t threads = 0;  ///< CPU threads over all streams; 0: chosen from the cores
  std::string cache_dir;    ///< compiled models; empty: none
};

/// Loads `options.path` with the backend that choose_runtime() says.
/// Errors: kNotFound, kInvalidArgument (not a model; a directory), kUnsupported (no such runtime,
/// device, precision or operator), kResourceExhausted, kFailedPrecondition (no rights; a runtime's
/// library that does not load).
[[nodiscard]] Result<std::unique_ptr<Backend>> load_backend(const BackendOptions& options);

}  // namespace framemill
