#include "framemill/engine/evaluation/labelled_picture.h"

namespace framemill {

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
  }
  return objects;
}

}  // namespace framemill
