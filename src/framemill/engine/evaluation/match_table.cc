#include "framemill/engine/evaluation/match_table.h"

#include <algorithm>
#include <functional>
#include <map>

#include "framemill/base/check.h"

namespace framemill {
namespace {

constexpr std::array<double, kSizeRanges> kAreaLeast{0, 0, 32.0 * 32, 96.0 * 96};
constexpr std::array<double, kSizeRanges> kAreaMost{1e10, 32.0 * 32, 96.0 * 96, 1e10};

/// numpy.linspace(.5, .95, 10): some of these differ from .05 x i in the last bit, and a box that
/// overlaps by just so much falls to the other side.
std::array<double, kIouCount> make_thresholds() {
  std::array<double, kIouCount> thresholds{};
  const double step = (.95 - .5) / (kIouCount - 1);
  for (std::size_t i = 0; i < kIouCount; ++i) thresholds[i] = static_cast<double>(i) * step + .5;
  thresholds.back() = .95;
  return thresholds;
}

double box_area(const ExactBox& box) { return box.width * box.height; }

/// Step by step as pycocotools computes it, so that what is rounded is rounded likewise.
double overlap(const ExactBox& found, const LabelledObject& object) {
  const ExactBox box = object.exact.value_or(to_exact(object.box));
  const double width =
      std::min(found.width + found.x, box.width + box.x) - std::max(found.x, box.x);
  const double height =
      std::min(found.height + found.y, box.height + box.y) - std::max(found.y, box.y);
  if (!(width > 0 && height > 0)) return 0;
  const double both = width * height;
  return both / (object.is_crowd ? box_area(found) : box_area(found) + box_area(box) - both);
}

/// The detections and objects of one class in one picture.
class PictureMatcher {
 public:
  PictureMatcher(std::vector<const ExactDetection*> found,
                 std::vector<const LabelledObject*> objects)
      : found_(std::move(found)), objects_(std::move(objects)) {
    std::ranges::stable_sort(found_, std::greater<>(), &ExactDetection::score);
    if (found_.size() > kDetectionsMax) found_.resize(kDetectionsMax);
    overlaps_.resize(found_.size() * objects_.size());
    for (std::size_t i = 0; i < found_.size(); ++i) {
      for (std::size_t j = 0; j < objects_.size(); ++j)
        overlaps_[i * objects_.size() + j] = overlap(found_[i]->box, *objects_[j]);
    }
  }

  std::vector<MatchedDetection> match(std::uint32_t picture) {
    std::vector<MatchedDetection> matched;
    for (const ExactDetection* const found : found_)
      matched.push_back({.score = found->score, .picture = picture});
    for (std::size_t range = 0; range < kSizeRanges; ++range) {
      order_objects(static_cast<SizeRange>(range));
      for (std::size_t i = 0; i < kIouCount; ++i) match_at(range, i, matched);
    }
    return matched;
  }

 private:
  /// Those that count first, else in the order of the labels.
  void order_objects(SizeRange range) {
    order_.clear();
    is_ignored_.clear();
    for (const bool is_wanted : {false, true}) {
      for (std::size_t j = 0; j < objects_.size(); ++j) {
        const bool is_ignored = objects_[j]->is_ignored || !is_in_range(objects_[j]->area, range);
        if (is_ignored != is_wanted) continue;
        order_.push_back(j);
        is_ignored_.push_back(is_ignored);
      }
    }
  }

  void match_at(std::size_t range, std::size_t threshold, std::vector<MatchedDetection>& matched) {
    const double least = std::min(iou_thresholds()[threshold], 1 - 1e-10);
    const auto bit = static_cast<std::uint16_t>(1U << threshold);
    std::vector<bool> is_taken(order_.size());
    for (std::size_t i = 0; i < found_.size(); ++i) {
      const std::size_t place = best_object(i, least, is_taken);
      if (place < order_.size()) {
        is_taken[place] = true;
        (is_ignored_[place] ? matched[i].is_ignored : matched[i].is_right)[range] |= bit;
      } else if (!is_in_range(box_area(found_[i]->box), static_cast<SizeRange>(range))) {
        matched[i].is_ignored[range] |= bit;
      }
    }
  }

  /// Place in order_; order_.size(): none.
  [[nodiscard]] std::size_t best_object(std::size_t i, double least,
                                        const std::vector<bool>& is_taken) const {
    std::size_t best = order_.size();
    for (std::size_t place = 0; place < order_.size(); ++place) {
      const std::size_t j = order_[place];
      if (is_taken[place] && !objects_[j]->is_crowd) continue;
      if (best < order_.size() && !is_ignored_[best] && is_ignored_[place]) break;
      const double value = overlaps_[i * objects_.size() + j];
      if (value < least) continue;
      least = value;
      best = place;
    }
    return best;
  }

  std::vector<const ExactDetection*> found_;
  std::vector<const LabelledObject*> objects_;
  std::vector<double> overlaps_;    ///< [found][object]
  std::vector<std::size_t> order_;  ///< of objects_, for the range at hand
  std::vector<bool> is_ignored_;    ///< by place in order_
};

}  // namespace

const std::array<double, kIouCount>& iou_thresholds() {
  static const std::array<double, kIouCount> thresholds = make_thresholds();
  return thresholds;
}

bool is_in_range(double area, SizeRange range) {
  const auto place = static_cast<std::size_t>(range);
  return area >= kAreaLeast[place] && area <= kAreaMost[place];
}

MatchTable match_pictures(std::span<const std::vector<LabelledObject>> objects,
                          std::span<const std::vector<ExactDetection>> detections,
                          std::size_t class_count) {
  CHECK(objects.size() == detections.size());
  MatchTable table{.picture_count = objects.size()};
  table.classes.resize(class_count);
  for (ClassMatches& each : table.classes) {
    for (auto& counts : each.objects) counts.resize(objects.size());
  }
  struct Both {
    std::vector<const ExactDetection*> found;
    std::vector<const LabelledObject*> objects;
  };
  const auto is_known = [class_count](int id) {
    return id >= 0 && static_cast<std::size_t>(id) < class_count;
  };
  for (std::size_t picture = 0; picture < objects.size(); ++picture) {
    std::map<int, Both> by_class;
    for (const ExactDetection& found : detections[picture])
      if (is_known(found.class_id)) by_class[found.class_id].found.push_back(&found);
    for (const LabelledObject& object : objects[picture])
      if (is_known(object.class_id)) by_class[object.class_id].objects.push_back(&object);
    for (auto& [class_id, both] : by_class) {
      ClassMatches& matches = table.classes[static_cast<std::size_t>(class_id)];
      for (const LabelledObject* const object : both.objects) {
        ++matches.labelled;
        for (std::size_t range = 0; range < kSizeRanges; ++range) {
          const bool is_counted =
              !object->is_ignored && is_in_range(object->area, static_cast<SizeRange>(range));
          matches.objects[range][picture] += is_counted ? 1 : 0;
          matches.object_counts[range] += is_counted ? 1 : 0;
        }
      }
      const std::vector<MatchedDetection> matched =
          PictureMatcher(std::move(both.found), std::move(both.objects))
              .match(static_cast<std::uint32_t>(picture));
      matches.detections.insert(matches.detections.end(), matched.begin(), matched.end());
    }
  }
  for (ClassMatches& matches : table.classes)
    std::ranges::stable_sort(matches.detections, std::greater<>(), &MatchedDetection::score);
  return table;
}

MatchTable match_pictures(std::span<const std::vector<LabelledObject>> objects,
                          std::span<const std::vector<Detection>> detections,
                          std::size_t class_count) {
  std::vector<std::vector<ExactDetection>> exact;
  for (const std::vector<Detection>& picture : detections) {
    std::vector<ExactDetection>& found = exact.emplace_back();
    for (const Detection& each : picture)
      found.push_back({.class_id = each.class_id,
                       .score = static_cast<double>(each.score),
                       .box = to_exact(each.box)});
  }
  return match_pictures(objects, exact, class_count);
}

}  // namespace framemill
