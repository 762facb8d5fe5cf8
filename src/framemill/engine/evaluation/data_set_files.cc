#include "framemill/engine/evaluation/data_set_files.h"

#include <algorithm>
#include <cctype>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <system_error>

#include <fmt/format.h>

#include "framemill/engine/evaluation/label_problem.h"

namespace framemill {
namespace {

namespace fs = std::filesystem;

constexpr int kLevelsMax = 6;

template <typename Iterator>
std::vector<std::string> collect(Iterator files, bool (*is_wanted)(std::string_view)) {
  std::vector<std::string> paths;
  std::error_code error;
  for (; files != Iterator(); files.increment(error)) {
    if constexpr (requires { files.depth(); }) {
      if (files.depth() >= kLevelsMax) files.disable_recursion_pending();
    }
    const std::string path = files->path().string();
    std::error_code ignored;
    if (is_wanted(path) && files->is_regular_file(ignored)) paths.push_back(path);
    if (error) break;
  }
  std::ranges::sort(paths);
  return paths;
}

}  // namespace

Result<std::string> read_whole_file(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file || is_folder(path))
    return fail(ErrorCode::kNotFound,
                fmt::format("{}: cannot be read: {}", path,
                            is_folder(path) ? "is a folder" : std::strerror(errno)));
  std::error_code error;
  if (const auto size = fs::file_size(path, error); !error && size > kLabelBytesMax)
    return fail(ErrorCode::kInvalidArgument,
                fmt::format("{}: is {} MB large; labels may have {} MB", path, size >> 20U,
                            kLabelBytesMax >> 20U));
  return std::string(std::istreambuf_iterator<char>(file), {});
}

std::vector<std::string> lines_of(const std::string& path) {
  std::vector<std::string> lines;
  const Result<std::string> text = read_whole_file(path);
  for (std::size_t at = 0; text && at < text->size();) {
    const std::size_t end = std::min(text->find('\n', at), text->size());
    std::string line = text->substr(at, end - at);
    while (!line.empty() && (line.back() == '\r' || line.back() == ' ')) line.pop_back();
    if (!line.empty()) lines.push_back(std::move(line));
    at = end + 1;
  }
  return lines;
}

std::vector<std::string> files_below(const std::string& folder,
                                     bool (*is_wanted)(std::string_view name)) {
  std::error_code error;
  fs::recursive_directory_iterator files(folder,
                                         fs::directory_options::follow_directory_symlink |
                                             fs::directory_options::skip_permission_denied,
                                         error);
  if (error) return {};
  return collect(std::move(files), is_wanted);
}

std::vector<std::string> files_in(const std::string& folder,
                                  bool (*is_wanted)(std::string_view name)) {
  std::error_code error;
  fs::directory_iterator files(folder, error);
  if (error) return {};
  return collect(std::move(files), is_wanted);
}

bool is_folder(const std::string& path) {
  std::error_code error;
  return fs::is_directory(path, error);
}

bool is_file(const std::string& path) {
  std::error_code error;
  return fs::is_regular_file(path, error);
}

std::string join_path(const std::string& folder, const std::string& name) {
  return (fs::path(folder) / name).lexically_normal().string();
}

std::string stem_of(const std::string& path) { return fs::path(path).stem().string(); }

std::string relative_name(const std::string& path, const std::string& folder) {
  const fs::path relative = fs::path(path).lexically_relative(fs::path(folder).lexically_normal());
  const std::string text = relative.string();
  return text.empty() || text == "." || text.starts_with("..") ? path : text;
}

bool ends_in(std::string_view path, std::initializer_list<std::string_view> endings) {
  return std::ranges::any_of(endings, [path](std::string_view ending) {
    return path.size() > ending.size() &&
           std::equal(
               ending.begin(), ending.end(), path.end() - static_cast<long>(ending.size()),
               [](char a, char b) { return a == std::tolower(static_cast<unsigned char>(b)); });
  });
}

std::string folder_of(const std::string& path) {
  const std::string parent = fs::path(path).parent_path().string();
  return parent.empty() ? "." : parent;
}

bool is_picture_name(std::string_view path) {
  return ends_in(path, {".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff"});
}

bool is_yaml_name(std::string_view path) { return ends_in(path, {".yaml", ".yml"}); }

}  // namespace framemill
