#pragma once

namespace framemill {

/// Width and height of a picture, in pixels.
struct Size {
  int width = 0;
  int height = 0;
  friend bool operator==(const Size&, const Size&) = default;
};

/// An axis-parallel rectangle, x1 <= x2 and y1 <= y2, in pixels of the picture that its owner
/// names; pixel (0, 0) covers [0, 1) x [0, 1).
struct Box {
  float x1 = 0, y1 = 0, x2 = 0, y2 = 0;
  friend bool operator==(const Box&, const Box&) = default;
};

[[nodiscard]] constexpr float area(const Box& b) {
  return b.x2 > b.x1 && b.y2 > b.y1 ? (b.x2 - b.x1) * (b.y2 - b.y1) : 0.0F;
}

/// Intersection over union, 0..1; 0 for empty boxes.
[[nodiscard]] constexpr float iou(const Box& a, const Box& b) {
  const float left = a.x1 > b.x1 ? a.x1 : b.x1;
  const float top = a.y1 > b.y1 ? a.y1 : b.y1;
  const float right = a.x2 < b.x2 ? a.x2 : b.x2;
  const float bottom = a.y2 < b.y2 ? a.y2 : b.y2;
  if (right <= left || bottom <= top) return 0.0F;
  const float overlap = (right - left) * (bottom - top);
  return overlap / (area(a) + area(b) - overlap);
}

/// `box` cut to the picture [0, size.width] x [0, size.height]; empty where it lay outside.
[[nodiscard]] constexpr Box clip(const Box& box, Size size) {
  const auto within = [](float v, float most) { return v < 0 ? 0 : (v > most ? most : v); };
  const auto w = static_cast<float>(size.width);
  const auto h = static_cast<float>(size.height);
  return {within(box.x1, w), within(box.y1, h), within(box.x2, w), within(box.y2, h)};
}

}  // namespace framemill
