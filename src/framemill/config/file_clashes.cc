#include "framemill/config/file_clashes.h"

#include <algorithm>
#include <filesystem>

#include <fmt/format.h>

#include "framemill/config/setting_value.h"

namespace framemill {
namespace {

namespace fs = std::filesystem;

bool lies_in(const fs::path& folder, const fs::path& path) {
  const auto [end, rest] = std::ranges::mismatch(folder, path);
  return end == folder.end();
}

}  // namespace

void FileClashes::add_input(std::string name, const std::string& path) {
  if (path.empty()) return;
  places_.emplace_back(path, name);
  if (const auto file = identify_file(path)) inputs_.emplace(*file, std::move(name));
}

void FileClashes::add_model(const std::string& name, const std::string& path) {
  add_input(name, path);  // first: what a message names
  // OpenVINO's weights; what exporters call the external data of an ONNX file.
  if (path.ends_with(".xml")) add_input(name, fs::path(path).replace_extension(".bin").string());
  if (path.ends_with(".onnx"))
    for (const char* const end : {".data", "_data"}) add_input(name, path + end);
}

void FileClashes::add_config(const std::string& path) { config_ = identify_file(path); }

std::string FileClashes::add_output(const std::string& name, const std::string& path, Twice twice,
                                    std::string_view remedy) {
  if (path.empty()) return {};
  const auto file = path == "-" ? std::nullopt : identify_file(path);
  if (!file) {
    if (twice == Twice::kRefused && !names_.insert(path).second)
      return fmt::format("is written to by something else too; {}", remedy);
    return {};
  }
  if (std::string problem = check_path(path, remedy); !problem.empty()) return problem;
  const auto [other, is_new] = outputs_.emplace(*file, name);
  if (is_new) return {};
  return fmt::format("is written to by something else too ({}); {}", other->second, remedy);
}

std::string FileClashes::check_path(const std::string& path, std::string_view remedy) const {
  const auto file = identify_file(path);
  if (!file) return {};
  if (config_ == file) {
    return fmt::format("{} is the configuration itself, and would be overwritten; {}", quote(path),
                       remedy);
  }
  const auto input = inputs_.find(*file);
  if (input == inputs_.end()) return {};
  return fmt::format("{} is read as {}, and would be overwritten; {}", quote(path), input->second,
                     remedy);
}

std::string FileClashes::check_folder(const std::string& folder, std::string_view remedy) const {
  const fs::path written = real_path(folder);
  for (const auto& [path, name] : places_) {
    if (!lies_in(written, real_path(path))) continue;
    return fmt::format("{} is written to, and {} is read as {}; {}", quote(folder), quote(path),
                       name, remedy);
  }
  return {};
}

}  // namespace framemill
