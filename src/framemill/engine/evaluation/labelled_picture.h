#pragma once

#include <optional>
#include <string>
#include <vector>

#include "framemill/core/geometry.h"

namespace framemill {

/// A box as COCO's files have it, in pixels. In doubles and with sides: whether 32 x 32 at [0.1,
/// 0.2] is small, or an overlap just .5, hangs on the last digits.
struct ExactBox {
  double x = 0, y = 0;  ///< of the corner
  double width = 0, height = 0;
  friend bool operator==(const ExactBox&, const ExactBox&) = default;
};
[[nodiscard]] ExactBox to_exact(const Box& box);
[[nodiscard]] Box to_box(const ExactBox& box);

/// One object of a picture, as somebody labelled it.
struct LabelledObject {
  int class_id = 0;  ///< of the data set until it is mapped to a model's classes
  Box box;
  double area = 0;          ///< what its size is judged by: the box's, or COCO's (of the outline)
  bool is_crowd = false;    ///< a group: may be found many times, need not be found
  bool is_ignored = false;  ///< need not be found: crowds, and what VOC calls difficult
  std::optional<ExactBox> exact;  ///< what is matched in place of `box`, where it is known
  friend bool operator==(const LabelledObject&, const LabelledObject&) = default;
};

/// A picture of a data set.
struct LabelledPicture {
  std::string path;  ///< of the file
  std::string name;  ///< for people: relative to the data set
  std::string id;    ///< what COCO's result files call it, unique: digits for a number, else a text
  /// What the objects' boxes are measured in: a picture of this size. {1, 1}: shares of the sides.
  Size labelled_size{1, 1};
  std::vector<LabelledObject> objects;
  bool is_labelled = false;  ///< false: nothing is known of its objects
};

/// The objects of `picture` in pixels of a picture of `size`. Pure.
[[nodiscard]] std::vector<LabelledObject> scale_objects(const LabelledPicture& picture, Size size);

}  // namespace framemill
