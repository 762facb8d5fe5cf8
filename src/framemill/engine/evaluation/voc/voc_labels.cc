#include "framemill/engine/evaluation/voc/voc_labels.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <optional>

#include <fmt/format.h>
#include <pugixml.hpp>

namespace framemill {
namespace {

constexpr double kSideMost = 1e6;

std::string_view trimmed(std::string_view text) {
  constexpr std::string_view kSpace = " \t\r\n";
  const std::size_t begin = text.find_first_not_of(kSpace);
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(kSpace) + 1 - begin);
}

std::optional<double> number_in(const pugi::xml_node& node, const char* name) {
  const std::string_view text = trimmed(node.child_value(name));
  double value = 0;
  const auto [rest, status] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (text.empty() || status != std::errc{} || rest != text.data() + text.size() ||
      !std::isfinite(value) || std::abs(value) > kSideMost)
    return std::nullopt;
  return value;
}

int line_at(std::string_view text, std::ptrdiff_t offset) {
  const auto end = static_cast<std::size_t>(
      std::clamp<std::ptrdiff_t>(offset, 0, static_cast<std::ptrdiff_t>(text.size())));
  return 1 +
         static_cast<int>(std::count(text.begin(), text.begin() + static_cast<long>(end), '\n'));
}

Result<VocObject> parse_object(const pugi::xml_node& node, Size size) {
  const auto wrong = [](std::string message) {
    return fail(ErrorCode::kInvalidArgument, std::move(message));
  };
  VocObject found{.class_name = std::string(trimmed(node.child_value("name")))};
  if (found.class_name.empty()) return wrong("object without a <name>");
  const pugi::xml_node box = node.child("bndbox");
  const std::optional<double> x1 = number_in(box, "xmin"), y1 = number_in(box, "ymin");
  const std::optional<double> x2 = number_in(box, "xmax"), y2 = number_in(box, "ymax");
  if (!x1 || !y1 || !x2 || !y2)
    return wrong(
        fmt::format("{}: <bndbox> needs numbers in xmin, ymin, xmax and ymax", found.class_name));
  if (!(*x2 > *x1 && *y2 > *y1))
    return wrong(fmt::format("{}: the box [{:g}, {:g}, {:g}, {:g}] has no area", found.class_name,
                             *x1, *y1, *x2, *y2));
  // One pixel of grace: tools count from 0 or from 1.
  if (size.width > 0 && (*x1 < -1 || *y1 < -1 || *x2 > size.width + 1 || *y2 > size.height + 1))
    return wrong(
        fmt::format("{}: the box [{:g}, {:g}, {:g}, {:g}] lies outside the picture of "
                    "{}x{}",
                    found.class_name, *x1, *y1, *x2, *y2, size.width, size.height));
  found.object.box = {static_cast<float>(*x1), static_cast<float>(*y1), static_cast<float>(*x2),
                      static_cast<float>(*y2)};
  found.object.area = (*x2 - *x1) * (*y2 - *y1);
  found.object.is_ignored = trimmed(node.child_value("difficult")) == "1";
  return found;
}

}  // namespace

Result<VocLabels> parse_voc_labels(std::string_view text, std::string_view file,
                                   LabelProblems& problems) {
  pugi::xml_document document;
  const pugi::xml_parse_result parsed = document.load_buffer(text.data(), text.size());
  const auto at_line = [&](std::ptrdiff_t offset) {
    return fmt::format("{}:{}", file, line_at(text, offset));
  };
  if (!parsed)
    return fail(ErrorCode::kInvalidArgument,
                fmt::format("{}: not XML: {}", at_line(parsed.offset), parsed.description()));
  const pugi::xml_node root = document.child("annotation");
  if (!root)
    return fail(ErrorCode::kInvalidArgument,
                fmt::format("{}: has no <annotation>, as VOC labels have", file));
  VocLabels labels{.file_name = std::string(trimmed(root.child_value("filename")))};
  const pugi::xml_node size = root.child("size");
  const std::optional<double> width = number_in(size, "width");
  const std::optional<double> height = number_in(size, "height");
  if (width && height && *width >= 1 && *height >= 1)
    labels.size = {static_cast<int>(*width), static_cast<int>(*height)};
  else if (size && !(width && height && *width == 0 && *height == 0))
    problems.add(file, line_at(text, size.offset_debug()),
                 "<size> needs width and height in pixels");
  for (const pugi::xml_node& node : root.children("object")) {
    Result<VocObject> object = parse_object(node, labels.size);
    if (object)
      labels.objects.push_back(*std::move(object));
    else
      problems.add(file, line_at(text, node.offset_debug()), object.error().message());
  }
  return labels;
}

}  // namespace framemill
