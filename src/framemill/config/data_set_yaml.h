#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "framemill/base/result.h"

namespace framemill {

/// What a data set's YAML file says, in the layout of Ultralytics' trainer. Paths as written.
struct DataSetYaml {
  std::string root;  ///< `path`; empty: the file's own folder
  /// `train`, `val`, `test` that are there, each with one place or several.
  std::map<std::string, std::vector<std::string>> splits;
  std::vector<std::string> class_names;  ///< `names`, a list or a map by id; empty: not said
};

/// Reads such a file; keys other than these are the trainer's and not looked at. Errors:
/// kInvalidArgument with `file`:line where it is no YAML map, or `names` has gaps or is neither
/// list nor map. Pure.
[[nodiscard]] Result<DataSetYaml> parse_data_set_yaml(std::string_view text, std::string_view file);

}  // namespace framemill
