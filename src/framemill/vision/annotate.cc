#include "framemill/vision/annotate.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>

#include <fmt/format.h>
#include <opencv2/core.hpp>
#include <opencv2/imgproc.hpp>

#include "framemill/base/check.h"
#include "framemill/vision/bgr_image.h"
#include "framemill/vision/picture_codecs.h"

// OpenCV draws and encodes only: putText, getTextSize and imencode for JPEG run on the calling
// thread. What would start OpenCV's thread pool (cvtColor, resize, blending of whole pictures) is
// done here instead.

namespace framemill {
namespace {

constexpr int kJpegQuality = 88;
constexpr int kFont = cv::FONT_HERSHEY_SIMPLEX;

struct Color {
  std::uint8_t red, green, blue;
};

/// Bright and of one strength, neighbours far apart in hue, so that the first classes of a model,
/// which are the frequent ones, are told apart at a glance. Dark text is readable on all of them.
constexpr std::array<Color, 16> kPalette{{{0x3D, 0xDC, 0x97},
                                          {0x4C, 0xB8, 0xFF},
                                          {0xFF, 0xB0, 0x3B},
                                          {0xFF, 0x7A, 0x9A},
                                          {0xB9, 0x9B, 0xFF},
                                          {0xE4, 0xE8, 0x4A},
                                          {0x2F, 0xD6, 0xD6},
                                          {0xFF, 0x8A, 0x5C},
                                          {0x9B, 0xDD, 0x55},
                                          {0xE9, 0x8B, 0xF0},
                                          {0x7F, 0xC4, 0xC9},
                                          {0xFF, 0xD1, 0x6B},
                                          {0x8F, 0xA8, 0xFF},
                                          {0xD8, 0xB3, 0x8A},
                                          {0x5F, 0xE3, 0x6B},
                                          {0xFF, 0x9F, 0xD6}}};

Color color_of(int class_id) {
  return kPalette[static_cast<std::size_t>(class_id < 0 ? 0 : class_id) % kPalette.size()];
}

/// Sizes in pixels; they grow with the shorter side, so that a 4K picture shown in a window and a
/// small one look alike.
struct Dimensions {
  explicit Dimensions(Size size) {
    const double side = std::min(size.width, size.height);
    line = std::clamp(static_cast<int>(std::lround(side / 240)), 1, 12);
    // Slower than the side: small text needs its pixels to be legible, large text need not cover as
    // much.
    font_scale = std::clamp(0.14 + side / 1400, 0.36, 2.6);
    stroke = std::max(1, static_cast<int>(std::lround(font_scale * 1.9)));
    int below = 0;
    const cv::Size text = cv::getTextSize("Ag0#", kFont, font_scale, stroke, &below);
    ascent = text.height;
    descent = below;
    padding = std::max(2, static_cast<int>(std::lround(side / 150)));
  }
  [[nodiscard]] int bar_height() const { return ascent + descent / 2 + 2 * padding; }
  int line = 1;
  double font_scale = 0.4;
  int stroke = 1;
  int ascent = 0;
  int descent = 0;
  int padding = 2;
};

int text_width(const std::string& text, const Dimensions& dimensions) {
  int below = 0;
  return cv::getTextSize(text, kFont, dimensions.font_scale, dimensions.stroke, &below).width;
}

/// OpenCV's font has ASCII only: what it cannot draw becomes one question mark per character.
std::string drawable(std::string_view text) {
  std::string ascii;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    const bool is_continuation = (byte & 0xC0U) == 0x80U;  // of a UTF-8 character
    if (byte >= 32 && byte < 127)
      ascii += c;
    else if (!is_continuation)
      ascii += '?';
  }
  return ascii;
}

/// Cut to `width` pixels with two dots at the end; empty where not even they fit.
std::string shortened(std::string text, int width, const Dimensions& dimensions) {
  if (text_width(text, dimensions) <= width) return text;
  while (!text.empty() && text_width(text + "..", dimensions) > width) text.pop_back();
  return text.empty() ? text : text + "..";
}

/// Mixes `color` into the part of `area` that lies inside the picture; `strength` of 256.
void blend(cv::Mat& image, cv::Rect area, Color color, int strength) {
  area &= cv::Rect(0, 0, image.cols, image.rows);
  const std::array<int, 3> mixed{color.blue * strength, color.green * strength,
                                 color.red * strength};
  for (int y = area.y; y < area.y + area.height; ++y) {
    std::uint8_t* pixel = image.ptr<std::uint8_t>(y, area.x);
    for (int x = 0; x < area.width; ++x) {
      for (const int channel : mixed) {
        *pixel = static_cast<std::uint8_t>((*pixel * (256 - strength) + channel + 128) >> 8);
        ++pixel;
      }
    }
  }
}

/// The four sides of a frame that lies inside `outer` and is `width` wide; no corner twice.
std::array<cv::Rect, 4> frame_of(const cv::Rect& outer, int width) {
  const int across = std::min(width, outer.height);
  const int inner = std::max(0, outer.height - 2 * across);
  const int down = std::min(width, outer.width);
  return {cv::Rect(outer.x, outer.y, outer.width, across),
          cv::Rect(outer.x, outer.y + across + inner, outer.width,
                   std::min(across, outer.height - across - inner)),
          cv::Rect(outer.x, outer.y + across, down, inner),
          cv::Rect(std::max(outer.x + down, outer.x + outer.width - down), outer.y + across,
                   std::min(down, outer.width - down), inner)};
}

cv::Rect grown(const cv::Rect& rect, int by) {
  return {rect.x - by, rect.y - by, rect.width + 2 * by, rect.height + 2 * by};
}

/// The colour between two dark hairlines: seen on snow and at night alike.
void draw_box(cv::Mat& image, const cv::Rect& box, Color color, int line) {
  constexpr Color kDark{0, 0, 0};
  const int hairline = std::max(1, line / 2);
  for (const cv::Rect& side : frame_of(grown(box, hairline), hairline))
    blend(image, side, kDark, 110);
  for (const cv::Rect& side : frame_of(grown(box, -line), hairline)) blend(image, side, kDark, 70);
  for (const cv::Rect& side : frame_of(box, line)) blend(image, side, color, 256);
}

struct Tag {
  cv::Rect area;
  std::string text;
  Color color;
};

/// The first of these places that is inside `free_area` and clear of other tags: above the box,
/// flush left or right, inside its top, below it, one line further up. Where none is: the first
/// inside, over others.
cv::Rect place_tag(const cv::Rect& box, cv::Size size, const cv::Rect& free_area, int line,
                   const std::vector<Tag>& placed) {
  const int most_x = std::max(free_area.x, free_area.x + free_area.width - size.width);
  const int most_y = std::max(free_area.y, free_area.y + free_area.height - size.height);
  const int left = std::clamp(box.x, free_area.x, most_x);
  const int right = std::clamp(box.x + box.width - size.width, free_area.x, most_x);
  const int above = box.y - size.height + line;
  const int below = box.y + box.height - line;
  const cv::Point places[] = {{left, above},
                              {right, above},
                              {left, std::max(box.y, free_area.y)},
                              {left, below},
                              {right, below},
                              {left, above - size.height},
                              {right, above - size.height}};
  const auto is_inside = [&](cv::Point p) { return p.y >= free_area.y && p.y <= most_y; };
  for (const cv::Point place : places) {
    const cv::Rect area(place, size);
    const bool is_clear = std::none_of(
        placed.begin(), placed.end(), [&](const Tag& tag) { return (tag.area & area).area() > 0; });
    if (is_inside(place) && is_clear) return area;
  }
  return {{left, std::clamp(above, free_area.y, most_y)}, size};
}

std::string tag_text(const Detection& detection, std::span<const std::string> labels) {
  const auto id = static_cast<std::size_t>(detection.class_id);
  const bool has_label = detection.class_id >= 0 && id < labels.size() && !labels[id].empty();
  std::string text = has_label ? drawable(labels[id]) : std::to_string(detection.class_id);
  text += fmt::format(" {:.2f}", detection.score);
  if (detection.track >= 0) text += fmt::format(" #{}", detection.track);
  return text;
}

cv::Rect to_pixels(const Box& box, Size size) {
  const Box inside = clip(box, size);
  const int left = std::min(static_cast<int>(std::lround(inside.x1)), size.width - 1);
  const int top = std::min(static_cast<int>(std::lround(inside.y1)), size.height - 1);
  const int right = static_cast<int>(std::lround(inside.x2));
  const int bottom = static_cast<int>(std::lround(inside.y2));
  return {left, top, std::max(1, right - left), std::max(1, bottom - top)};
}

void draw_text(cv::Mat& image, const std::string& text, cv::Point baseline, cv::Scalar color,
               const Dimensions& dimensions) {
  cv::putText(image, text, baseline, kFont, dimensions.font_scale, color, dimensions.stroke,
              cv::LINE_AA);
}

void draw_detections(cv::Mat& image, std::span<const Detection> detections,
                     std::span<const std::string> labels, const cv::Rect& free_area,
                     const Dimensions& dimensions) {
  const Size size{image.cols, image.rows};
  // The worst first, so that the best lie on top; tags above all boxes, the best choose their
  // places first.
  std::vector<const Detection*> order;
  for (const Detection& detection : detections) order.push_back(&detection);
  std::stable_sort(order.begin(), order.end(),
                   [](const Detection* a, const Detection* b) { return a->score < b->score; });
  for (const Detection* detection : order) {
    draw_box(image, to_pixels(detection->box, size), color_of(detection->class_id),
             dimensions.line);
  }
  std::vector<Tag> tags;
  for (auto it = order.rbegin(); it != order.rend(); ++it) {
    const Detection& detection = **it;
    std::string text = tag_text(detection, labels);
    text = shortened(std::move(text), size.width - 2 * dimensions.padding, dimensions);
    if (text.empty()) continue;
    const cv::Size area(text_width(text, dimensions) + 2 * dimensions.padding,
                        dimensions.bar_height());
    const cv::Rect place =
        place_tag(to_pixels(detection.box, size), area, free_area, dimensions.line, tags);
    tags.push_back({place, std::move(text), color_of(detection.class_id)});
  }
  for (auto tag = tags.rbegin(); tag != tags.rend(); ++tag) {
    for (const cv::Rect& side : frame_of(grown(tag->area, 1), 1)) blend(image, side, {0, 0, 0}, 90);
    blend(image, tag->area, tag->color, 240);
    const cv::Point baseline(tag->area.x + dimensions.padding,
                             tag->area.y + dimensions.padding + dimensions.ascent);
    draw_text(image, tag->text, baseline, {24, 18, 14}, dimensions);
  }
}

void draw_caption(cv::Mat& image, const std::string& text, int height,
                  const Dimensions& dimensions) {
  blend(image, {0, 0, image.cols, height}, {0x10, 0x16, 0x20}, 200);
  draw_text(image, text, {2 * dimensions.padding, dimensions.padding + dimensions.ascent},
            {240, 240, 240}, dimensions);
}

}  // namespace

Result<std::vector<std::uint8_t>> draw_jpeg(const Picture& picture,
                                            std::span<const Detection> detections,
                                            std::span<const std::string> labels,
                                            const std::string& caption, int width_max) {
  CHECK(picture.size.width > 0 && picture.size.height > 0 && picture.planes[0].data != nullptr);
  Size size = picture.size;
  std::vector<Detection> scaled;
  if (width_max > 0 && size.width > width_max) {
    const float scale = static_cast<float>(width_max) / static_cast<float>(size.width);
    size = {width_max,
            std::max(1, static_cast<int>(std::lround(scale * static_cast<float>(size.height))))};
    scaled.assign(detections.begin(), detections.end());
    for (Detection& detection : scaled) {
      Box& box = detection.box;
      box = {box.x1 * scale, box.y1 * scale, box.x2 * scale, box.y2 * scale};
    }
    detections = scaled;
  }
  try {  // OpenCV reports by exception
    cv::Mat image = to_bgr(picture, size);
    const Dimensions dimensions(size);
    const std::string text =
        shortened(drawable(caption), image.cols - 4 * dimensions.padding, dimensions);
    const int bar = text.empty() ? 0 : std::min(dimensions.bar_height(), image.rows);
    const cv::Rect free_area(0, bar, image.cols, image.rows - bar);
    draw_detections(image, detections, labels, free_area, dimensions);
    if (bar > 0) draw_caption(image, text, bar, dimensions);
    return encode_jpeg(image, kJpegQuality);
  } catch (const cv::Exception& e) {
    return fail(ErrorCode::kInternal,
                fmt::format("OpenCV could not draw or encode a {}x{} picture: {}",
                            picture.size.width, picture.size.height, e.what()));
  }
}

}  // namespace framemill
