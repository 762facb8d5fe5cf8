#include "framemill/engine/detector_options.h"

#include <cerrno>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "framemill/infer/labels.h"

namespace framemill {
namespace {

constexpr std::uintmax_t kLabelBytesMax = 1U << 20U;

Result<std::string> read_label_file(const std::string& path) {
  namespace fs = std::filesystem;
  std::error_code error;
  const fs::file_status status = fs::status(path, error);
  if (fs::exists(status) && !fs::is_regular_file(status))
    return fail(
        ErrorCode::kInvalidArgument,
        fmt::format("{}: is no file; name a text file with one label a line, or \"coco\"", path));
  if (fs::is_regular_file(status) && fs::file_size(path, error) > kLabelBytesMax && !error)
    return fail(
        ErrorCode::kInvalidArgument,
        fmt::format("{}: is too large for labels; name a text file with one label a line", path));
  errno = 0;
  std::ifstream file(path);
  const int problem = errno;
  std::ostringstream text;
  text << file.rdbuf();
  if (!file)
    return fail(
        ErrorCode::kNotFound,
        fmt::format("{}: the labels cannot be read ({}); name a text file with one label a line, "
                    "or \"coco\"",
                    path, std::strerror(problem)));
  return text.str();
}

Result<std::vector<std::string>> read_labels(const std::string& path) {
  const Result<std::string> text = read_label_file(path);
  if (!text) return fail(text.error());
  std::istringstream lines(*text);
  constexpr std::string_view kByteOrderMark = "\xef\xbb\xbf";
  std::vector<std::string> labels;
  for (std::string line; std::getline(lines, line);) {
    if (labels.empty() && line.starts_with(kByteOrderMark)) line.erase(0, kByteOrderMark.size());
    while (!line.empty() && (line.back() == '\r' || line.back() == ' ')) line.pop_back();
    if (!line.empty()) labels.push_back(line);
  }
  if (labels.empty())
    return fail(ErrorCode::kInvalidArgument,
                fmt::format("{}: holds no label; write one a line, in the order of the model's "
                            "classes, or leave it out",
                            path));
  return labels;
}

std::string default_cache_dir() {
  if (const char* dir = std::getenv("XDG_CACHE_HOME"); dir && *dir) {
    return std::string(dir) + "/framemill";
  }
  if (const char* home = std::getenv("HOME"); home && *home) {
    return std::string(home) + "/.cache/framemill";
  }
  return {};
}

}  // namespace

Result<DetectorOptions> detector_options(const ModelSettings& model, const EngineSettings& engine) {
  DetectorOptions options;
  options.backend.path = model.path;
  const Result<RuntimeKind> runtime = parse_runtime(model.runtime);
  if (!runtime) return fail(runtime.error());
  options.backend.runtime = *runtime;
  options.backend.device = model.device_list.empty() ? model.device : model.device_list.front();
  const Result<Precision> precision = parse_precision(model.precision);
  if (!precision) return fail(precision.error());
  options.backend.precision = *precision;
  const Result<LetterboxOn> letterbox_on = parse_letterbox_on(model.letterbox_on);
  if (!letterbox_on) return fail(letterbox_on.error());
  options.backend.letterbox_on = *letterbox_on;
  options.backend.streams = engine.streams;
  options.backend.threads = engine.threads;
  options.backend.cache_dir = default_cache_dir();
  if (!model.label_list.empty()) {
    options.labels = model.label_list;
  } else if (model.labels == "coco") {
    options.labels = coco_labels();
  } else if (!model.labels.empty()) {
    Result<std::vector<std::string>> labels = read_labels(model.labels);
    if (!labels) return fail(labels.error());
    options.labels = std::move(*labels);
  }
  if (model.head != "auto") {
    const Result<HeadKind> head = parse_head_kind(model.head);
    if (!head) return fail(head.error());
    options.head = *head;
  }
  if (!model.color.empty()) {
    options.channels = model.color == "bgr" ? ChannelOrder::kBgr : ChannelOrder::kRgb;
  }
  if (!model.range.empty()) {
    options.range = model.range == "byte" ? ValueRange::kByte : ValueRange::kUnit;
  }
  if (!model.letterbox.empty()) {
    options.place =
        model.letterbox == "top_left" ? LetterboxPlace::kTopLeft : LetterboxPlace::kCenter;
  }
  if (model.score) options.score = static_cast<float>(*model.score);
  if (model.nms_iou) options.nms_iou = static_cast<float>(*model.nms_iou);
  return options;
}

}  // namespace framemill
