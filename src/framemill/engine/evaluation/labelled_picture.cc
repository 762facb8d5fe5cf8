#include "framemill/engine/evaluation/labelled_picture.h"

namespace framemill {

ExactBox to_exact(const Box& box) {
  const double x = box.x1, y = box.y1;
  return {.x = x, .y = y, .width = box.x2 - x, .height = box.y2 - y};
}

Box to_box(const ExactBox& box) {
  return {static_cast<float>(box.x), static_cast<float>(box.y),
          static_cast<float>(box.x + box.width), static_cast<float>(box.y + box.height)};
}

std::vector<LabelledObject> scale_objects(const LabelledPicture& picture, Size size) {
  std::vector<LabelledObject> objects = picture.objects;
  if (picture.labelled_size == size) return objects;
  const double across = static_cast<double>(size.width) / picture.labelled_size.width;
  const double down = static_cast<double>(size.height) / picture.labelled_size.height;
  for (LabelledObject& object : objects) {
    const Box& box = object.box;
    object.box = {static_cast<float>(box.x1 * across), static_cast<float>(box.y1 * down),
                  static_cast<float>(box.x2 * across), static_cast<float>(box.y2 * down)};
    object.area *= across * down;
    if (object.exact) {
      ExactBox& exact = *object.exact;
      exact = {exact.x * across, exact.y * down, exact.width * across, exact.height * down};
    }
  }
  return objects;
}

}  // namespace framemill
