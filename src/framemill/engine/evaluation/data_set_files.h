#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "framemill/base/result.h"

namespace framemill {

/// The whole of a file. Errors: kNotFound with path and reason.
[[nodiscard]] Result<std::string> read_whole_file(const std::string& path);

/// The lines of a text without their ends and blanks behind; empty ones are left out, as are all of
/// a file that cannot be read.
[[nodiscard]] std::vector<std::string> lines_of(const std::string& path);

/// Files below `folder`, sub-folders included (six levels, links followed), for which `is_wanted`
/// says so; in the order of their paths. Empty where there is no such folder.
[[nodiscard]] std::vector<std::string> files_below(const std::string& folder,
                                                   bool (*is_wanted)(std::string_view name));
/// The same without sub-folders.
[[nodiscard]] std::vector<std::string> files_in(const std::string& folder,
                                                bool (*is_wanted)(std::string_view name));

[[nodiscard]] bool is_folder(const std::string& path);
[[nodiscard]] bool is_file(const std::string& path);
/// "." for a bare name.
[[nodiscard]] std::string folder_of(const std::string& path);
[[nodiscard]] std::string join_path(const std::string& folder, const std::string& name);
/// "a" of "x/a.jpg".
[[nodiscard]] std::string stem_of(const std::string& path);
/// `path` as seen from `folder`, or as it is where it lies elsewhere.
[[nodiscard]] std::string relative_name(const std::string& path, const std::string& folder);
/// Whether the name of `path` ends in one of `endings` (".jpg", lower case), in any case.
[[nodiscard]] bool ends_in(std::string_view path, std::initializer_list<std::string_view> endings);

/// By the end of the name.
[[nodiscard]] bool is_picture_name(std::string_view path);
[[nodiscard]] bool is_yaml_name(std::string_view path);

}  // namespace framemill
