#include "framemill/engine/detector_options.h"

#include <cstdlib>
#include <fstream>
#include <string>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "framemill/infer/labels.h"

namespace framemill {
namespace {

Result<std::vector<std::string>> read_labels(const std::string& path) {
  std::ifstream file(path);
  if (!file) {
    return fail(
        ErrorCode::kNotFound,
        fmt::format("{}: the labels cannot be read; name a text file with one label a line, or "
                    "\"coco\"",
                    path));
  }
  constexpr std::string_view kByteOrderMark = "\xef\xbb\xbf";
  std::vector<std::string> labels;
  for (std::string line; std::getline(file, line);) {
    if (labels.empty() && line.starts_with(kByteOrderMark)) line.erase(0, kByteOrderMark.size());
    while (!line.empty() && (line.back() == '\r' || line.back() == ' ')) line.pop_back();
    if (!line.empty()) labels.push_back(line);
  }
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
