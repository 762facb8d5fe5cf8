#include "framemill/engine/evaluation/yolo_labels.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <string>

#include <fmt/format.h>

namespace framemill {
namespace {

constexpr int kClassMost = 1'000'000;
/// Writers round edges up in the last digit.
constexpr double kRounding = 1e-4;

std::vector<std::string_view> split(std::string_view line) {
  std::vector<std::string_view> words;
  constexpr std::string_view kSpace = " \t\r\f\v";
  for (std::size_t at = line.find_first_not_of(kSpace); at != std::string_view::npos;) {
    const std::size_t end = std::min(line.find_first_of(kSpace, at), line.size());
    words.push_back(line.substr(at, end - at));
    at = line.find_first_not_of(kSpace, end);
  }
  return words;
}

std::optional<double> number_of(std::string_view word) {
  double value = 0;
  const auto [rest, status] = std::from_chars(word.data(), word.data() + word.size(), value);
  if (status != std::errc{} || rest != word.data() + word.size() || !std::isfinite(value))
    return std::nullopt;
  return value;
}

/// Words of any length and kind come from a file: shown cut, and without control characters.
std::string shown(std::string_view word) {
  std::string text;
  for (const char c : word.substr(0, 24))
    text += static_cast<unsigned char>(c) < 32 || c == 127 ? '?' : c;
  return '"' + text + (word.size() > 24 ? "..." : "") + '"';
}

/// The object, or what is wrong with the line.
Result<LabelledObject> parse_line(const std::vector<std::string_view>& words,
                                  std::optional<int> class_count) {
  const auto wrong = [](std::string message) {
    return fail(ErrorCode::kInvalidArgument, std::move(message));
  };
  const bool is_outline = words.size() >= 7 && words.size() % 2 == 1;
  if (words.size() != 5 && !is_outline)
    return wrong(
        fmt::format("{} values; a line is \"class cx cy width height\" in shares of the "
                    "picture",
                    words.size()));
  const std::optional<double> class_id = number_of(words[0]);
  if (!class_id || *class_id < 0 || *class_id > kClassMost || *class_id != std::floor(*class_id))
    return wrong(fmt::format("{} is no class; write a whole number from 0 on", shown(words[0])));
  if (class_count && *class_id >= *class_count)
    return wrong(fmt::format("class {:.0f} has no name; the data set names {} classes, 0 to {}",
                             *class_id, *class_count, *class_count - 1));
  std::vector<double> values;
  for (std::size_t i = 1; i < words.size(); ++i) {
    const std::optional<double> value = number_of(words[i]);
    if (!value) return wrong(fmt::format("{} is no number", shown(words[i])));
    if (*value < -kRounding || *value > 1 + kRounding)
      return wrong(
          fmt::format("{} lies outside 0..1; YOLO labels are shares of the picture's "
                      "sides, not pixels",
                      shown(words[i])));
    values.push_back(*value);
  }
  double x1 = values[0] - values[2] / 2, x2 = values[0] + values[2] / 2;
  double y1 = values[1] - values[3] / 2, y2 = values[1] + values[3] / 2;
  if (is_outline) {
    x1 = x2 = values[0];
    y1 = y2 = values[1];
    for (std::size_t i = 0; i + 1 < values.size(); i += 2) {
      x1 = std::min(x1, values[i]);
      x2 = std::max(x2, values[i]);
      y1 = std::min(y1, values[i + 1]);
      y2 = std::max(y2, values[i + 1]);
    }
  }
  LabelledObject object{.class_id = static_cast<int>(*class_id),
                        .box = {static_cast<float>(x1), static_cast<float>(y1),
                                static_cast<float>(x2), static_cast<float>(y2)},
                        .area = (x2 - x1) * (y2 - y1)};
  if (!(object.area > 0)) return wrong("the box has no area");
  return object;
}

}  // namespace

std::vector<LabelledObject> parse_yolo_labels(std::string_view text, std::string_view file,
                                              std::optional<int> class_count,
                                              LabelProblems& problems) {
  std::vector<LabelledObject> objects;
  if (text.starts_with("\xEF\xBB\xBF")) text.remove_prefix(3);
  int number = 0;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t end = std::min(text.find('\n', at), text.size());
    ++number;
    const std::vector<std::string_view> words = split(text.substr(at, end - at));
    at = end + 1;
    if (words.empty()) continue;
    Result<LabelledObject> object = parse_line(words, class_count);
    if (object)
      objects.push_back(*object);
    else
      problems.add(file, number, object.error().message());
  }
  return objects;
}

}  // namespace framemill
