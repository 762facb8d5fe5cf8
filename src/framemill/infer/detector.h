#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "framemill/base/clock.h"
#include "framemill/infer/backend.h"
#include "framemill/vision/letterbox.h"
#include "framemill/vision/yolo_head.h"

namespace framemill {

/// Lowest score of the candidates a detector reports; what is published is filtered later, per
/// camera.
inline constexpr float kCandidateScoreMin = 0.1F;

/// What a config says about a model; unset means: the model's own metadata, then the general
/// default.
struct DetectorOptions {
  BackendOptions backend;
  std::optional<std::vector<std::string>> labels;  ///< by class id
  std::optional<HeadKind> head;
  std::optional<ChannelOrder> channels;
  std::optional<ValueRange> range;
  std::optional<LetterboxPlace> place;
  std::optional<float> score;                  ///< published scores, default .35
  std::optional<float> nms_iou;                ///< default .65
  float candidate_score = kCandidateScoreMin;  ///< 0..1; evaluation looks further down
  Size expected_source{1920, 1080};            ///< picks the size to test of a model that takes any
  std::size_t batch_max =
      1;  ///< largest batch that will be asked for; the self-test covers batches if > 1
};

/// How long a batch takes while facts().parallel_requests of them are in flight.
struct ServiceTime {
  Duration median{0};
  Duration p95{0};
  double items_per_second = 0;  ///< over all requests in flight
};

/// The multiples of `multiple`, at most `side_max` a side, that fit pictures of `source` best: the
/// longer side as long as allowed, the other just long enough (1920x1080, 32, 640 gives 640x384).
/// Pure.
[[nodiscard]] Size fit_input(Size source, int multiple, int side_max);

class DetectorRequest;

/// A model together with everything needed to turn pictures into detections: letterbox, head, NMS,
/// labels. Proven by a self-test at load. Thread-safety: const members from any thread.
class Detector {
 public:
  /// Loads the model, finds its head, resolves labels and style, and runs the self-test: scores
  /// that are all 0 or not finite, or batched output that differs from single output, refuse the
  /// model. Cost: that of compiling one shape (two with batches) and a few inferences. Errors:
  /// those of load_backend(), recognise_head(), settle_by_values(); kUnsupported where the output
  /// does not depend on the input; kInvalidArgument where the number of labels contradicts the
  /// model or its metadata is wrong. Messages name the file and the remedy.
  static Result<std::unique_ptr<Detector>> load(const DetectorOptions& options);
  /// The same over a backend made elsewhere (fakes, tests).
  static Result<std::unique_ptr<Detector>> create(std::unique_ptr<Backend> backend,
                                                  const DetectorOptions& options);
  ~Detector();

  [[nodiscard]] const ModelFacts& facts() const;
  /// By class id; every class that detections() may report has one, "class 7" where it has no name.
  [[nodiscard]] const std::vector<std::string>& labels() const;
  [[nodiscard]] const InputStyle& style() const;
  [[nodiscard]] HeadKind head_kind() const;
  [[nodiscard]] float score() const;
  [[nodiscard]] float nms_iou() const;

  /// The input size for pictures of `source`: the fixed one, else fit_input() with the model's
  /// stride and training size (metadata `imgsz`, else 640).
  [[nodiscard]] Size input_for(Size source) const;
  /// The variant name of results: the file's name, such as "yolo11n_640x384_int8", with "@640x384"
  /// where the size was chosen.
  [[nodiscard]] std::string variant_name(Size input) const;

  /// A request for `batch` pictures; see Backend::create_request.
  Result<std::unique_ptr<DetectorRequest>> create_request(std::size_t batch, Size input) const;

  /// See Backend::forget_unused.
  void forget_unused() const;

  /// Runs `rounds` batches on each of facts().parallel_requests requests at once and waits for
  /// them. Errors: those of create_request() and InferRequest::start(); kInvalidArgument for 0
  /// rounds.
  Result<ServiceTime> measure_service_time(std::size_t batch, Size input, std::size_t rounds) const;

 private:
  friend class DetectorRequest;
  struct State;
  explicit Detector(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

/// One batch through a Detector: set_picture() for each item, start(), then detections() for each.
/// Thread-safety: one thread at a time; different items' set_picture() and detections() may run in
/// parallel. The Detector outlives it.
class DetectorRequest {
 public:
  ~DetectorRequest();
  [[nodiscard]] std::size_t batch() const;
  /// Letterboxes into the input tensor. Unused items of a batch keep what they have.
  Result<void> set_picture(std::size_t item, const Picture& picture);
  /// See InferRequest::start.
  void start(std::function<void(Result<void>)> done);
  /// After done(success): detections with score >= the options' candidate_score after NMS, best
  /// first, boxes in pixels of the picture set, clipped to it; empty boxes are left out.
  [[nodiscard]] std::vector<Detection> detections(std::size_t item);

 private:
  friend class Detector;
  struct State;
  explicit DetectorRequest(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace framemill
