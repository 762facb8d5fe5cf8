#pragma once

#include <optional>
#include <string>
#include <vector>

#include "framemill/base/result.h"
#include "framemill/core/answer.h"
#include "framemill/engine/evaluation/labelled_picture.h"

namespace framemill {

/// Which class of one side is which of the other.
struct ClassMap {
  std::vector<int> to_model;  ///< by class of the other side; -1: not among the model's
  std::string note;           ///< for a person; empty: nothing to say
};

/// Two names are one class where they differ in case, or in "_" and "-" for " ".
[[nodiscard]] bool is_same_class(const std::string& a, const std::string& b);

/// Maps `classes` of `who` ("the data set") to the classes of `model` by name. Where one side has
/// no names the numbers are taken, and `note` says so. `is_used`: by class, whether it matters
/// (objects have it). Errors: kInvalidArgument that lists the used classes which `model` lacks, or
/// has no number for.
[[nodiscard]] Result<ClassMap> map_classes(const std::vector<std::string>& classes,
                                           const std::vector<bool>& is_used, const std::string& who,
                                           const std::vector<std::string>& model,
                                           const std::string& model_name);

/// "cat", "dog" and 70 more: for a person.
[[nodiscard]] std::string list_names(const std::vector<std::string>& names);

}  // namespace framemill
