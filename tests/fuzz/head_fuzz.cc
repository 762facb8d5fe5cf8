#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>
#include <vector>

#include "framemill/base/check.h"
#include "framemill/vision/nms.h"
#include "framemill/vision/tracker.h"
#include "framemill/vision/yolo_head.h"

// Any shapes and any values a model could answer with, through the whole path: layout, values,
// decoding, NMS, tracking. Nothing may crash, and every detection that comes out has to be a box.
namespace framemill {
namespace {

/// Takes numbers off the front of the fuzzer's bytes; 0 once they are used up.
class Bytes {
 public:
  Bytes(const std::uint8_t* data, std::size_t size) : data_(data), size_(size) {}
  template <typename T>
  T take() {
    T value{};
    const std::size_t count = sizeof(T) < size_ ? sizeof(T) : size_;
    std::memcpy(&value, data_, count);
    data_ += count;
    size_ -= count;
    return value;
  }
  [[nodiscard]] bool is_empty() const { return size_ == 0; }

 private:
  const std::uint8_t* data_;
  std::size_t size_;
};

std::int64_t take_side(Bytes& bytes) {
  // Sides that mean something are rare among all integers.
  static constexpr std::int64_t kSides[] = {-1, 0,  1,  5,   6,   7,   9,   21,
                                            63, 84, 85, 252, 300, 336, 8400};
  const auto pick = bytes.take<std::uint8_t>();
  return pick < std::size(kSides) ? kSides[pick] : (pick < 200 ? pick : bytes.take<std::int64_t>());
}

void run(Bytes bytes) {
  std::vector<OutputShape> outputs(bytes.take<std::uint8_t>() % 3);
  for (OutputShape& output : outputs) {
    output.name = "output0";
    output.dims.resize(bytes.take<std::uint8_t>() % 5);
    for (std::int64_t& side : output.dims) side = take_side(bytes);
  }
  const auto take_length = [&bytes] {
    const auto pick = bytes.take<std::uint8_t>();
    return pick < 128 ? 32 * (pick % 4 + 1) : static_cast<int>(bytes.take<std::int16_t>());
  };
  const int width = take_length();
  const Size input{width, take_length()};
  std::optional<int> labels;
  if (const auto pick = bytes.take<std::uint8_t>(); pick < 128) labels = pick - 1;
  std::optional<HeadKind> kind;
  if (const auto pick = bytes.take<std::uint8_t>(); pick % 8 < 5)
    kind = static_cast<HeadKind>(pick % 8);
  const Result<HeadSpec> spec = recognise_head(outputs, input, labels, kind);
  if (!spec) {
    CHECK(!spec.error().message().empty());
    return;
  }
  const std::size_t wanted =
      static_cast<std::size_t>(spec->candidate_count) * value_count_per_candidate(*spec);
  if (wanted > 200'000) return;  // only slow
  const float fill = bytes.take<float>();
  std::vector<float> values(wanted - (bytes.take<std::uint8_t>() == 0 ? 1 : 0), fill);
  for (std::size_t i = 0; i < values.size() && !bytes.is_empty(); ++i) {
    const auto place = bytes.take<std::uint16_t>();
    values[place % values.size()] = bytes.take<float>();
  }
  const float score_min = bytes.take<float>();
  const Result<HeadSpec> settled = settle_by_values(*spec, values, "output0", kind.has_value());
  std::vector<Detection> detections;
  Tracker tracker({});
  for (const HeadSpec& tried : {*spec, settled ? *settled : *spec}) {
    decode_head(tried, values, score_min, detections);
    for (const Detection& d : detections) {
      CHECK(d.score >= score_min || score_min > 1);
      CHECK(d.score <= 1);
      CHECK(std::isfinite(d.box.x1) && std::isfinite(d.box.y1));
      CHECK(d.box.x2 > d.box.x1 && d.box.y2 > d.box.y1);
      CHECK(d.class_id >= 0);
    }
    nms(detections, bytes.take<float>());
    CHECK(detections.size() <= 300);
    tracker.update(bytes.take<double>(), detections);
  }
}

}  // namespace
}  // namespace framemill

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  framemill::run({data, size});
  return 0;
}
