// Fuzz target of the readers of labels (YOLO, COCO, VOC, COCO results, a data set's YAML): any
// bytes give objects with finite boxes and known classes, or problems that name the file; never a
// crash, a hang or a thrown exception. The first byte chooses the reader. Needs clang; see
// CMakeLists.txt.

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "framemill/base/check.h"
#include "framemill/config/data_set_yaml.h"
#include "framemill/engine/evaluation/coco_labels.h"
#include "framemill/engine/evaluation/voc/voc_labels.h"
#include "framemill/engine/evaluation/yolo_labels.h"

namespace {

using framemill::LabelledObject;
using framemill::LabelProblems;

constexpr std::string_view kFile = "labels";
constexpr int kClasses = 3;

void check_object(const LabelledObject& object) {
  const framemill::Box& box = object.box;
  for (const float value : {box.x1, box.y1, box.x2, box.y2}) CHECK(std::isfinite(value));
  CHECK(box.x1 <= box.x2 && box.y1 <= box.y2 && std::isfinite(object.area));
  CHECK(object.class_id >= 0);
}

void check_problems(const LabelProblems& problems) {
  CHECK(problems.lines().size() <= problems.count());
  for (const std::string& line : problems.lines()) CHECK(line.starts_with(kFile));
}

void read_yolo(std::string_view text) {
  LabelProblems problems;
  for (const LabelledObject& object :
       framemill::parse_yolo_labels(text, kFile, kClasses, problems)) {
    check_object(object);
    CHECK(object.class_id < kClasses && object.area > 0);
  }
  check_problems(problems);
}

void read_coco(std::string_view text) {
  LabelProblems problems;
  const auto labels = framemill::parse_coco_labels(text, kFile, problems);
  check_problems(problems);
  if (!labels) {
    CHECK(labels.error().message().starts_with(kFile));
    return;
  }
  CHECK(labels->class_names.size() == labels->category_ids.size());
  for (const framemill::LabelledPicture& picture : labels->pictures) {
    CHECK(picture.labelled_size.width > 0 && picture.labelled_size.height > 0);
    for (const LabelledObject& object : picture.objects) {
      check_object(object);
      CHECK(static_cast<std::size_t>(object.class_id) < labels->class_names.size());
    }
  }
}

void read_voc(std::string_view text) {
  LabelProblems problems;
  const auto labels = framemill::parse_voc_labels(text, kFile, problems);
  check_problems(problems);
  if (!labels) {
    CHECK(labels.error().message().starts_with(kFile));
    return;
  }
  for (const framemill::VocObject& object : labels->objects) {
    check_object(object.object);
    CHECK(!object.class_name.empty());
  }
}

void read_results(std::string_view text) {
  const auto results = framemill::parse_coco_results(text, kFile);
  if (!results) return CHECK(results.error().message().starts_with(kFile));
  for (const framemill::CocoResult& result : *results)
    CHECK(std::isfinite(result.detection.box.x + result.detection.box.width) &&
          std::isfinite(result.detection.box.y + result.detection.box.height));
}

void read_yaml(std::string_view text) {
  const auto yaml = framemill::parse_data_set_yaml(text, kFile);
  CHECK(yaml || yaml.error().message().starts_with(kFile));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const std::string_view text(reinterpret_cast<const char*>(data) + 1, size - 1);
  void (*const readers[])(std::string_view) = {read_yolo, read_coco, read_voc, read_results,
                                               read_yaml};
  readers[data[0] % 5](text);
  return 0;
}
