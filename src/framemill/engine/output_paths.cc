#include "framemill/engine/output_paths.h"

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <utility>

#include <fmt/format.h>
#include <unistd.h>

namespace framemill {
namespace {

namespace fs = std::filesystem;

int access_problem(const fs::path& path, int rights) {
  return ::access(path.c_str(), rights) == 0 ? 0 : errno;
}

int folder_problem(const fs::path& file) {
  const fs::path folder = file.parent_path();
  return access_problem(folder.empty() ? "." : folder, W_OK | X_OK);
}

int output_problem(const std::string& path) {
  std::error_code unknown;  // then access() says what is wrong
  if (fs::is_directory(path, unknown)) return EISDIR;
  return fs::exists(path, unknown) ? access_problem(path, W_OK) : folder_problem(path);
}

/// The folders on the way to it are made.
Result<void> check_snapshot_folder(const std::string& folder) {
  std::error_code unknown;
  fs::path nearest = fs::absolute(folder, unknown);
  while (!fs::exists(nearest, unknown) && nearest.has_relative_path())
    nearest = nearest.parent_path();
  const int problem =
      fs::is_directory(nearest, unknown) ? access_problem(nearest, W_OK | X_OK) : ENOTDIR;
  if (problem == 0) return {};
  return fail(ErrorCode::kInvalidArgument,
              fmt::format("{}: snapshots cannot be written there: {}; name a folder that can be "
                          "made and written to",
                          folder, std::strerror(problem)));
}

}  // namespace

Result<void> check_output_path(const std::string& path, std::string_view what) {
  const int problem = path == "-" ? 0 : output_problem(path);
  if (problem == 0) return {};
  return fail(ErrorCode::kInvalidArgument,
              fmt::format("{}: {} cannot be written there: {}; name a file in a folder that exists "
                          "and is writable",
                          path, what, std::strerror(problem)));
}

Result<void> check_output_paths(const RunSettings& settings) {
  const OutputSettings& output = settings.output;
  const std::pair<const std::string*, const char*> files[] = {
      {&output.results, "results"}, {&output.summary, "the summary"}, {&output.trace, "the trace"}};
  for (const auto& [path, what] : files) {
    if (path->empty()) continue;
    if (Result<void> checked = check_output_path(*path, what); !checked) return checked;
  }
  for (std::size_t i = 0; i < settings.sinks.size(); ++i) {
    const SinkSettings& sink = settings.sinks[i];
    if (sink.type != "jsonl" && sink.type != "sqlite") continue;
    const char* const what = sink.type == "jsonl" ? "results" : "the database";
    const Result<void> checked = check_output_path(sink.path, what);
    if (!checked) return fail(checked.error().at(fmt::format("sinks[{}]", i)));
  }
  if (output.snapshot_dir.empty()) return {};
  return check_snapshot_folder(output.snapshot_dir);
}

}  // namespace framemill
