#pragma once

#include <optional>
#include <string>
#include <vector>

#include "framemill/base/result.h"

namespace framemill {

/// Where pictures with YOLO labels lie, and what their classes are called.
struct YoloPlace {
  std::vector<std::string> pictures;     ///< folders, or texts that list pictures
  std::vector<std::string> class_names;  ///< empty: not said
  std::string split;                     ///< "val"; empty: there are none
  std::string note;                      ///< what a reader of the figures should know; may be empty
};

/// The splits to try, the first that is there counts: `split`, or val, test, train where it is
/// empty.
[[nodiscard]] std::vector<std::string> splits_to_try(const std::string& split);

/// Looks in a folder as read_data_set() says; none where there are no such labels, one without
/// pictures whose note says why where a YAML names a split that is nowhere. Errors:
/// kInvalidArgument for a data.yaml that is broken.
[[nodiscard]] Result<std::optional<YoloPlace>> find_yolo_place(const std::string& folder,
                                                               const std::string& split);

/// What a YAML names. Errors: kNotFound, kInvalidArgument where it is broken, names no such split,
/// or one that is not there.
[[nodiscard]] Result<YoloPlace> yolo_place_of(const std::string& yaml, const std::string& split);

/// The pictures there, by path.
[[nodiscard]] std::vector<std::string> pictures_at(const YoloPlace& place);

/// Where YOLO's trainer looks for the labels of a picture: the last folder "images" of its path
/// becomes "labels"; without one they lie beside it. Pure.
[[nodiscard]] std::string yolo_labels_of(const std::string& picture);

}  // namespace framemill
