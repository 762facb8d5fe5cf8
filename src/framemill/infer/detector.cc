#include "framemill/infer/detector.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <random>
#include <utility>

#include <fmt/format.h>

#include "framemill/base/mutex.h"
#include "framemill/base/utf8.h"
#include "framemill/infer/labels.h"
#include "framemill/vision/nms.h"

namespace framemill {
namespace {

constexpr float kScoreDefault = 0.35F;
constexpr float kNmsIouDefault = 0.65F;
constexpr int kSideMaxDefault = 640;      // of inputs that may have any size
constexpr int kUnnamedClassCount = 1000;  // of a head that does not say how many it has
/// A batch may round differently from single pictures, and INT8 then steps by one level here and
/// there; OpenVINO stays below .005 on all of the test models.
constexpr float kBatchScoreTolerance = 0.02F;

// ---- settings of the model: options, then metadata, then the default

template <typename T>
struct Choice {
  std::string_view text;
  T value;
};

/// The value of metadata `key` among `choices`; none if the key is absent.
template <typename T, std::size_t N>
Result<std::optional<T>> metadata_choice(const ModelFacts& facts, const std::string& key,
                                         const Choice<T> (&choices)[N]) {
  const auto found = facts.metadata.find(key);
  if (found == facts.metadata.end()) return std::optional<T>();
  std::string known;
  for (const Choice<T>& choice : choices) {
    if (choice.text == found->second) return std::optional<T>(choice.value);
    known += fmt::format("{}{}", known.empty() ? "" : ", ", choice.text);
  }
  return fail(ErrorCode::kInvalidArgument,
              fmt::format(R"({}: metadata {} is "{}", but must be one of {})", facts.path, key,
                          found->second, known));
}

/// Metadata `key` as a number in 0..1; none if the key is absent.
Result<std::optional<float>> metadata_share(const ModelFacts& facts, const std::string& key) {
  const auto found = facts.metadata.find(key);
  if (found == facts.metadata.end()) return std::optional<float>();
  char* end = nullptr;
  const float value = std::strtof(found->second.c_str(), &end);
  if (end == found->second.c_str() || *end != '\0' || !(value >= 0 && value <= 1))
    return fail(ErrorCode::kInvalidArgument,
                fmt::format(R"({}: metadata {} is "{}", but must be a number in 0..1)", facts.path,
                            key, found->second));
  return std::optional<float>(value);
}

/// The style that the head's family is usually trained with, changed by the model's metadata.
Result<InputStyle> style_from_metadata(const ModelFacts& facts, HeadKind kind) {
  InputStyle style;
  if (kind == HeadKind::kYolox || kind == HeadKind::kYoloxDecoded)
    style = {LetterboxPlace::kTopLeft, ChannelOrder::kBgr, ValueRange::kByte, 114.0F};
  const auto color = metadata_choice<ChannelOrder>(
      facts, "framemill.color", {{"rgb", ChannelOrder::kRgb}, {"bgr", ChannelOrder::kBgr}});
  if (!color) return fail(color.error());
  const auto range = metadata_choice<ValueRange>(
      facts, "framemill.range", {{"0..1", ValueRange::kUnit}, {"0..255", ValueRange::kByte}});
  if (!range) return fail(range.error());
  const auto place = metadata_choice<LetterboxPlace>(
      facts, "framemill.letterbox",
      {{"center", LetterboxPlace::kCenter}, {"top_left", LetterboxPlace::kTopLeft}});
  if (!place) return fail(place.error());
  style.channels = color->value_or(style.channels);
  style.range = range->value_or(style.range);
  style.place = place->value_or(style.place);
  return style;
}

/// The longest side of metadata `imgsz` ("[640, 640]" or "640"), else the default.
int side_max_of(const ModelFacts& facts) {
  const auto found = facts.metadata.find("imgsz");
  int most = 0;
  if (found != facts.metadata.end()) {
    int number = 0;
    for (const char c : found->second + " ") {
      number = c >= '0' && c <= '9' && number < 100'000 ? number * 10 + (c - '0') : 0;
      most = std::max(most, number);
    }
  }
  return most > 0 && most <= 8192 ? most : kSideMaxDefault;
}

// ---- self-test

/// Runs a request and waits for it.
Result<void> run(InferRequest& request) {
  Mutex mu;
  CondVar is_done_changed;
  bool is_done = false;
  Result<void> outcome;
  request.start([&](Result<void> result) {
    // Notified under the lock: the waiter may end as soon as it has it, and these variables with
    // it.
    const MutexLock lock(mu);
    outcome = std::move(result);
    is_done = true;
    is_done_changed.notify_all();
  });
  const MutexLock lock(mu);
  while (!is_done) is_done_changed.wait(mu);
  return outcome;
}

/// A made-up picture of `size`, values 0..1 before `style`'s range: 0 is noise over a gradient, 1
/// large plain shapes with edges. Written straight into `tensor`, as the style's value range says.
void write_test_picture(int which, Size size, const InputStyle& style, std::span<float> tensor) {
  const float scale = style.range == ValueRange::kByte ? 255.0F : 1.0F;
  std::minstd_rand noise(7);  // the same picture on every machine
  const std::size_t plane = tensor.size() / 3;
  std::size_t i = 0;
  for (int y = 0; y < size.height; ++y) {
    for (int x = 0; x < size.width; ++x, ++i) {
      const float u = static_cast<float>(x) / static_cast<float>(size.width);
      const float v = static_cast<float>(y) / static_cast<float>(size.height);
      std::array<float, 3> color{};
      if (which == 0) {
        const auto grain = static_cast<float>(noise() % 256) / 1024.0F;
        color = {0.75F * u + grain, 0.75F * v + grain, 0.75F * (1 - u) + grain};
      } else {
        // A standing figure (head, body) before a striped wall on a floor.
        const bool is_head = std::hypot(u - 0.35F, (v - 0.22F) * 0.6F) < 0.05F;
        const bool is_body = std::abs(u - 0.35F) < 0.07F && v > 0.3F && v < 0.85F;
        const bool is_box = u > 0.6F && u < 0.9F && v > 0.5F && v < 0.8F;
        const bool is_stripe = (x / 24) % 2 == 0;
        color = is_head     ? std::array{0.85F, 0.65F, 0.55F}
                : is_body   ? std::array{0.1F, 0.2F, 0.6F}
                : is_box    ? std::array{0.8F, 0.1F, 0.1F}
                : v > 0.8F  ? std::array{0.35F, 0.3F, 0.25F}
                : is_stripe ? std::array{0.9F, 0.9F, 0.85F}
                            : std::array{0.7F, 0.75F, 0.8F};
      }
      for (std::size_t c = 0; c < 3; ++c) tensor[c * plane + i] = color[c] * scale;
    }
  }
}

/// The largest difference between two outputs' scores, candidate by candidate (end2end: rank by
/// rank). Boxes of candidates that are nothing are noise, and would say nothing.
float largest_score_difference(const HeadSpec& spec, std::span<const float> a,
                               std::span<const float> b) {
  const std::size_t columns = value_count_per_candidate(spec);
  const std::size_t count = a.size() / columns;
  const bool is_class_major = spec.kind == HeadKind::kV8 && !spec.is_transposed;
  const std::size_t last = columns - static_cast<std::size_t>(spec.extra_count);
  const std::size_t end = spec.kind == HeadKind::kEnd2End ? 5 : last;
  float largest = 0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    const std::size_t column = is_class_major ? i / count : i % columns;
    if (column >= 4 && column < end) largest = std::max(largest, std::abs(a[i] - b[i]));
  }
  return largest;
}

}  // namespace

struct Detector::State {
  std::unique_ptr<Backend> backend;
  std::vector<std::string> labels;
  std::optional<int> label_count;  ///< as known before the head was
  InputStyle style;
  float score = kScoreDefault;
  float nms_iou = kNmsIouDefault;
  float candidate_score = kCandidateScoreMin;
  HeadSpec head;  ///< settled, for the input of the self-test
  int side_max = kSideMaxDefault;

  /// The head for another input of a model that takes any size.
  Result<HeadSpec> head_for(Size input) const {
    if (input == head.input) return head;
    Result<HeadSpec> spec = recognise_head(backend->facts().outputs, input, label_count, head.kind);
    if (!spec) return fail(spec.error().at(backend->facts().path));
    spec->is_normalized = head.is_normalized;
    spec->class_count = head.class_count;
    return spec;
  }
};

struct DetectorRequest::State {
  struct Item {
    Size source;
    Letterbox letterbox;
    std::vector<Detection> candidates;  ///< memory kept from picture to picture
  };
  const Detector::State* detector = nullptr;
  HeadSpec head;
  std::unique_ptr<InferRequest> request;
  std::vector<Item> items;
};

// ---- loading

namespace {

/// Recognises the head; a number of labels that does not fit gets its own message.
Result<HeadSpec> find_head(const ModelFacts& facts, Size input, std::optional<int> label_count,
                           const DetectorOptions& options) {
  Result<HeadSpec> spec = recognise_head(facts.outputs, input, label_count, options.head);
  if (spec) return spec;
  if (label_count) {
    const Result<HeadSpec> unlabelled =
        recognise_head(facts.outputs, input, std::nullopt, options.head);
    if (unlabelled && unlabelled->class_count != *label_count)
      return fail(
          ErrorCode::kInvalidArgument,
          fmt::format("{}: it has {} classes, but {} labels are given by {}; give one label "
                      "per class, in the order of training",
                      facts.path, unlabelled->class_count, *label_count,
                      options.labels ? "the settings" : "the model's metadata"));
  }
  return fail(spec.error().at(facts.path));
}

/// What the test pictures gave: outputs of single requests, to compare batches with.
struct SelfTest {
  HeadSpec head;
  std::array<std::vector<float>, 2> outputs;
};

Result<SelfTest> test_singles(Backend& backend, const HeadSpec& recognised, const InputStyle& style,
                              bool is_kind_overridden) {
  const ModelFacts& facts = backend.facts();
  Result<std::unique_ptr<InferRequest>> request = backend.create_request(1, recognised.input);
  if (!request) return fail(request.error());
  SelfTest test{.head = recognised, .outputs = {}};
  for (int which = 0; which < 2; ++which) {
    write_test_picture(which, recognised.input, style, (*request)->input(0));
    if (const Result<void> ran = run(**request); !ran)
      return fail(ran.error().at(facts.path + ": self-test"));
    const std::span<const float> output = (*request)->output(0);
    // The first picture settles what the layout left open; the second one has to agree.
    const Result<HeadSpec> settled = settle_by_values(test.head, output, facts.outputs.front().name,
                                                      is_kind_overridden || which > 0);
    if (!settled) return fail(settled.error().at(facts.path));
    if (which == 0) test.head = *settled;
    test.outputs[static_cast<std::size_t>(which)].assign(output.begin(), output.end());
  }
  const bool is_empty = std::ranges::all_of(test.outputs[0], [](float v) { return v == 0; });
  if (!is_empty && test.outputs[0] == test.outputs[1])
    return fail(
        ErrorCode::kUnsupported,
        fmt::format("{}: {} is the same for two different pictures, so it does not depend on "
                    "the input; export the model again",
                    facts.path, facts.outputs.front().name));
  return test;
}

/// Refuses a model whose pictures influence each other in a batch.
Result<void> test_batch(Backend& backend, const SelfTest& test, const InputStyle& style) {
  const ModelFacts& facts = backend.facts();
  Result<std::unique_ptr<InferRequest>> request = backend.create_request(2, test.head.input);
  if (!request) return fail(request.error());
  for (int which = 0; which < 2; ++which)
    write_test_picture(which, test.head.input, style,
                       (*request)->input(static_cast<std::size_t>(which)));
  if (const Result<void> ran = run(**request); !ran)
    return fail(ran.error().at(facts.path + ": self-test with a batch of 2"));
  for (std::size_t i = 0; i < 2; ++i) {
    const std::span<const float> output = (*request)->output(i);
    const float difference = output.size() == test.outputs[i].size()
                                 ? largest_score_difference(test.head, test.outputs[i], output)
                                 : 1.0F;
    if (difference > kBatchScoreTolerance)
      return fail(
          ErrorCode::kUnsupported,
          fmt::format("{}: picture {} of a batch of 2 gives other scores than alone (by up to "
                      "{:.2f}), so the model mixes the pictures of a batch; export it with "
                      "a batch of 1",
                      facts.path, i, difference));
  }
  return {};
}

}  // namespace

Detector::Detector(std::unique_ptr<State> state) : state_(std::move(state)) {}
Detector::~Detector() = default;

Result<std::unique_ptr<Detector>> Detector::load(const DetectorOptions& options) {
  Result<std::unique_ptr<Backend>> backend = load_backend(options.backend);
  if (!backend) return fail(backend.error());
  return create(*std::move(backend), options);
}

Result<std::unique_ptr<Detector>> Detector::create(std::unique_ptr<Backend> backend,
                                                   const DetectorOptions& options) {
  auto state = std::make_unique<State>();
  state->backend = std::move(backend);
  const ModelFacts& facts = state->backend->facts();
  state->side_max = side_max_of(facts);
  state->candidate_score = options.candidate_score;

  if (options.labels) {
    state->labels = *options.labels;
  } else {
    Result<std::vector<std::string>> own = labels_from_metadata(facts.metadata);
    if (!own) return fail(own.error().at(facts.path));
    state->labels = *std::move(own);
  }
  for (std::size_t i = 0; i < state->labels.size(); ++i) {
    if (is_utf8(state->labels[i])) continue;
    return fail(ErrorCode::kInvalidArgument,
                fmt::format("{}: label {} ({}) is not UTF-8; save the labels as UTF-8", facts.path,
                            i, options.labels ? "of the settings" : "of the model's metadata"));
  }
  if (!state->labels.empty()) state->label_count = static_cast<int>(state->labels.size());

  const auto score = metadata_share(facts, "framemill.score");
  if (!score) return fail(score.error());
  const auto nms_iou = metadata_share(facts, "framemill.nms_iou");
  if (!nms_iou) return fail(nms_iou.error());
  state->score = options.score.value_or(score->value_or(kScoreDefault));
  state->nms_iou = options.nms_iou.value_or(nms_iou->value_or(kNmsIouDefault));

  const Size input = facts.input.value_or(
      fit_input(options.expected_source, facts.input_multiple, state->side_max));
  const Result<HeadSpec> recognised = find_head(facts, input, state->label_count, options);
  if (!recognised) return fail(recognised.error());
  Result<InputStyle> style = style_from_metadata(facts, recognised->kind);
  if (!style) return fail(style.error());
  style->channels = options.channels.value_or(style->channels);
  style->range = options.range.value_or(style->range);
  style->place = options.place.value_or(style->place);
  state->style = *style;

  Result<SelfTest> test =
      test_singles(*state->backend, *recognised, state->style, options.head.has_value());
  if (!test) return fail(test.error());
  if (options.batch_max > 1 && facts.batch_max > 1)
    if (const Result<void> batch = test_batch(*state->backend, *test, state->style); !batch)
      return fail(batch.error());
  state->head = test->head;

  // From here on every class that a head can name has a label.
  if (state->head.class_count == 0)
    state->head.class_count = state->label_count.value_or(kUnnamedClassCount);
  for (int i = static_cast<int>(state->labels.size()); i < state->head.class_count; ++i)
    state->labels.push_back(unnamed_label(i));
  return std::unique_ptr<Detector>(new Detector(std::move(state)));
}

// ---- facts

const ModelFacts& Detector::facts() const { return state_->backend->facts(); }
const std::vector<std::string>& Detector::labels() const { return state_->labels; }
const InputStyle& Detector::style() const { return state_->style; }
HeadKind Detector::head_kind() const { return state_->head.kind; }
float Detector::score() const { return state_->score; }
float Detector::nms_iou() const { return state_->nms_iou; }

Size fit_input(Size source, int multiple, int side_max) {
  const auto round_up = [multiple](double side) {
    return std::max(static_cast<int>(std::ceil(side / multiple - 1e-9)), 1) * multiple;
  };
  const int longest = std::max(side_max / multiple, 1) * multiple;
  if (source.width < 1 || source.height < 1) return {longest, longest};
  const double aspect = static_cast<double>(source.width) / source.height;
  if (aspect >= 1) return {longest, std::min(round_up(longest / aspect), longest)};
  return {std::min(round_up(longest * aspect), longest), longest};
}

Size Detector::input_for(Size source) const {
  return facts().input.value_or(fit_input(source, facts().input_multiple, state_->side_max));
}

std::string Detector::variant_name(Size input) const {
  if (facts().input) return facts().name;
  return fmt::format("{}@{}x{}", facts().name, input.width, input.height);
}

// ---- requests

Result<std::unique_ptr<DetectorRequest>> Detector::create_request(std::size_t batch,
                                                                  Size input) const {
  const Result<HeadSpec> head = state_->head_for(input);
  if (!head) return fail(head.error());
  Result<std::unique_ptr<InferRequest>> request = state_->backend->create_request(batch, input);
  if (!request) return fail(request.error());
  auto state = std::make_unique<DetectorRequest::State>();
  state->detector = state_.get();
  state->head = *head;
  state->request = *std::move(request);
  state->items.resize(batch);
  return std::unique_ptr<DetectorRequest>(new DetectorRequest(std::move(state)));
}

void Detector::forget_unused() const { state_->backend->forget_unused(); }

Result<ServiceTime> Detector::measure_service_time(std::size_t batch, Size input,
                                                   std::size_t rounds) const {
  const std::size_t lane_count = std::max<std::size_t>(facts().parallel_requests, 1);
  std::vector<std::unique_ptr<InferRequest>> requests;
  for (std::size_t i = 0; i < lane_count; ++i) {
    Result<std::unique_ptr<InferRequest>> request = state_->backend->create_request(batch, input);
    if (!request) return fail(request.error());
    for (std::size_t item = 0; item < batch; ++item)
      write_test_picture(static_cast<int>(item % 2), input, state_->style, (*request)->input(item));
    if (const Result<void> warm = run(**request); !warm) return fail(warm.error());
    requests.push_back(*std::move(request));
  }
  Mutex mu;
  CondVar changed;
  std::vector<std::size_t> idle(lane_count);
  for (std::size_t i = 0; i < lane_count; ++i) idle[i] = i;
  std::vector<Duration> times;
  Result<void> outcome;
  const SystemClock clock;
  const TimePoint begin = clock.now();
  for (std::size_t started = 0;;) {
    std::size_t lane = 0;
    {
      const MutexLock lock(mu);
      const bool is_over = started == rounds * lane_count || !outcome;
      while (is_over ? idle.size() < lane_count : idle.empty()) changed.wait(mu);
      if (is_over) break;
      if (!outcome) continue;
      lane = idle.back();
      idle.pop_back();
    }
    ++started;
    const TimePoint lane_begin = clock.now();
    requests[lane]->start([&, lane, lane_begin](Result<void> result) {
      const TimePoint now = clock.now();
      const MutexLock lock(mu);
      if (result)
        times.push_back(now - lane_begin);
      else
        outcome = std::move(result);
      idle.push_back(lane);
      changed.notify_all();
    });
  }
  const double seconds = to_seconds(clock.now() - begin);
  if (!outcome) return fail(outcome.error());
  if (times.empty()) return fail(ErrorCode::kInvalidArgument, "no rounds to measure");
  std::ranges::sort(times);
  return ServiceTime{
      .median = times[times.size() / 2],
      .p95 = times[times.size() * 95 / 100],
      .items_per_second = static_cast<double>(times.size() * batch) / std::max(seconds, 1e-9)};
}

DetectorRequest::DetectorRequest(std::unique_ptr<State> state) : state_(std::move(state)) {}
DetectorRequest::~DetectorRequest() = default;

std::size_t DetectorRequest::batch() const { return state_->items.size(); }

Result<void> DetectorRequest::set_picture(std::size_t item, const Picture& picture) {
  CHECK(item < state_->items.size());
  State::Item& place = state_->items[item];
  const Size input = state_->head.input;
  const InputStyle& style = state_->detector->style;
  if (place.source != picture.size) {
    const Result<Letterbox> letterbox = plan_letterbox(picture.size, input, style.place);
    if (!letterbox) return fail(letterbox.error());
    place.letterbox = *letterbox;
    place.source = picture.size;
  }
  if (state_->request->takes_pictures())
    return state_->request->set_picture(item, picture, place.letterbox, style);
  write_letterbox(picture, place.letterbox, input, style, state_->request->input(item));
  return {};
}

void DetectorRequest::start(std::function<void(Result<void>)> done) {
  state_->request->start(std::move(done));
}

std::vector<Detection> DetectorRequest::detections(std::size_t item) {
  CHECK(item < state_->items.size());
  State::Item& place = state_->items[item];
  std::vector<Detection>& candidates = place.candidates;
  decode_head(state_->head, state_->request->output(item), state_->detector->candidate_score,
              candidates);
  if (needs_nms(state_->head.kind))
    nms(candidates, state_->detector->nms_iou);
  else
    std::ranges::stable_sort(candidates, std::greater<>(), &Detection::score);
  std::vector<Detection> detections;
  detections.reserve(candidates.size());
  for (Detection& detection : candidates) {
    detection.box = to_source(detection.box, place.letterbox, place.source);
    if (area(detection.box) > 0) detections.push_back(detection);
  }
  return detections;
}

}  // namespace framemill
