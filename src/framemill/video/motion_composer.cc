#include "framemill/video/motion_composer.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <utility>

namespace framemill {
namespace {

using Kind = MotionCell::Kind;

constexpr int kSmallCell = 8, kLargeCell = 16;
constexpr int kSmallPictureWidth = 704;
constexpr std::size_t kReferencesMax = 8;  // a pyramid has one a level; more is a broken stream

/// The sum of two steps of one content.
inline MotionCell joined(const MotionCell& a, const MotionCell& b) {
  if (a.kind == Kind::kUnknown || b.kind == Kind::kUnknown) return {};
  const bool is_still = a.kind == Kind::kStill && b.kind == Kind::kStill;
  return {a.dx + b.dx, a.dy + b.dy, is_still ? Kind::kStill : Kind::kMoved};
}

struct Place {
  float x = 0, y = 0;
};

/// Where cells lie.
class Grid {
 public:
  Grid(int cell_px, int columns, int rows)
      : cell_px_(static_cast<float>(cell_px)),
        per_px_(1 / cell_px_),
        last_column_(static_cast<float>(columns - 1)),
        last_row_(static_cast<float>(rows - 1)),
        columns_(columns) {}
  [[nodiscard]] Place center_of(int column, int row) const {
    return {(static_cast<float>(column) + .5F) * cell_px_,
            (static_cast<float>(row) + .5F) * cell_px_};
  }
  /// Of the cell at `place`, or of the nearest one in the picture.
  [[nodiscard]] std::size_t index_at(Place place) const {
    // Clamped as floats: a vector may point anywhere. What is not negative is floored by the cast.
    const float column = std::min(std::max(place.x * per_px_, 0.0F), last_column_);
    const float row = std::min(std::max(place.y * per_px_, 0.0F), last_row_);
    return static_cast<std::size_t>(static_cast<int>(row) * columns_ + static_cast<int>(column));
  }

 private:
  float cell_px_, per_px_, last_column_, last_row_;
  int columns_;
};

/// The parts of one large cell, of which the one nearest to all others stands for the cell.
class CellParts {
 public:
  /// The cell that they make up; null: none yet.
  [[nodiscard]] MotionCell* place() const { return place_; }
  void begin(MotionCell& place) {
    place_ = &place;
    count_ = 0;
  }
  void add(const MotionCell& part, int area) {
    if (count_ == parts_.size()) return;
    areas_[count_] = static_cast<float>(area);
    parts_[count_++] = part;
  }
  [[nodiscard]] MotionCell middle() const {
    std::size_t best = 0;
    float best_distance = INFINITY;
    for (std::size_t i = 0; i < count_ && count_ > 1; ++i) {
      float distance = 0;
      for (std::size_t j = 0; j < count_; ++j)
        distance += areas_[j] *
                    (std::abs(parts_[i].dx - parts_[j].dx) + std::abs(parts_[i].dy - parts_[j].dy));
      if (distance >= best_distance) continue;
      best_distance = distance;
      best = i;
    }
    return parts_[best];
  }

 private:
  MotionCell* place_ = nullptr;
  std::size_t count_ = 0;
  std::array<MotionCell, 4> parts_;
  std::array<float, 4> areas_{};
};

}  // namespace

void MotionComposer::reset() {
  while (!references_.empty()) drop(references_.size() - 1);
}

void MotionComposer::set_size(Size picture_size) {
  if (picture_size.width == size_.width && picture_size.height == size_.height) return;
  reset();
  size_ = picture_size;
  cell_px_ = picture_size.width <= kSmallPictureWidth ? kSmallCell : kLargeCell;
  columns_ = (picture_size.width + cell_px_ - 1) / cell_px_;
  rows_ = (picture_size.height + cell_px_ - 1) / cell_px_;
}

std::shared_ptr<const MotionField> MotionComposer::add(const CodedMotion& frame) {
  if (!frame.may_be_referenced && !frame.is_sampled) return nullptr;
  set_size(frame.picture_size);
  Reference* parent = parent_of(frame.packet_id);
  const bool has_step = parent != nullptr && read_vectors(frame, *parent);

  std::shared_ptr<MotionField> field;
  Reference added{.packet_id = frame.packet_id, .pts = frame.pts};
  if (frame.is_sampled) {
    field = std::make_shared<MotionField>(MotionField{
        .picture_size = size_, .cell_px = cell_px_, .columns = columns_, .rows = rows_});
    const bool is_known = has_step && compose_to_sample(*parent, frame.pts, field->cells) &&
                          std::ranges::any_of(field->cells, [](const MotionCell& cell) {
                            return cell.kind != Kind::kUnknown;
                          });
    if (!is_known) field = nullptr;
    added.relation = Relation::kIsSample;
  } else if (has_step) {
    added.motion = take_spare();
    if (compose_to_sample(*parent, frame.pts, added.motion))
      added.relation = Relation::kAfterSample;
  }

  // Frames decoded after this one that are shown before it can be no parent of what is shown later.
  const std::int64_t id = frame.packet_id;
  if (frame.may_be_referenced) {
    while (!references_.empty() && references_.back().packet_id > id) drop(references_.size() - 1);
    if (!frame.oldest_pending_id || *frame.oldest_pending_id > id) reset();
  }
  prune(frame.oldest_pending_id);
  if (frame.is_sampled) {
    rebase(has_step ? parent_of(id) : nullptr, frame.may_be_referenced);
    sample_pts_ = frame.pts;
  }
  if (!frame.may_be_referenced) return field;
  added.has_step = has_step && !references_.empty();
  if (added.has_step) added.step.swap(step_);
  references_.push_back(std::move(added));
  if (references_.size() > kReferencesMax) drop(0);
  return field;
}

MotionComposer::Reference* MotionComposer::parent_of(std::int64_t packet_id) {
  for (auto i = references_.rbegin(); i != references_.rend(); ++i)
    if (i->packet_id < packet_id) return &*i;
  return nullptr;
}

bool MotionComposer::read_vectors(const CodedMotion& frame, const Reference& parent) {
  if (frame.vectors.empty()) return false;
  if (step_.capacity() == 0) step_ = take_spare();
  step_.assign(static_cast<std::size_t>(columns_) * static_cast<std::size_t>(rows_), {});
  const bool has_future = read_direction<Direction::kPast>(frame.vectors, -1);
  if (!has_future || !frame.next_reference_pts) return true;
  const Duration past = frame.pts - parent.pts, future = *frame.next_reference_pts - frame.pts;
  if (past <= Duration::zero() || future <= Duration::zero()) return true;
  const double share = to_seconds(past) / to_seconds(future);
  (void)read_direction<Direction::kFuture>(frame.vectors, static_cast<float>(share));
  return true;
}

template <MotionComposer::Direction kDirection>
bool MotionComposer::read_direction(std::span<const AVMotionVector> vectors, float factor) {
  constexpr bool kIsPast = kDirection == Direction::kPast;
  const auto put = [](MotionCell& place, const MotionCell& cell) {
    // Of a block with two vectors the past one counts, unless it stands for "not used".
    if (kIsPast || place.kind == Kind::kUnknown ||
        (place.kind == Kind::kStill && cell.kind == Kind::kMoved))
      place = cell;
  };
  const auto place_of = [this](int column, int row) {
    return step_.data() + static_cast<std::ptrdiff_t>(row) * columns_ + column;
  };
  bool has_others = false;
  CellParts parts;
  for (const AVMotionVector& vector : vectors) {
    if ((vector.source < 0) != kIsPast) {
      has_others = true;
      continue;
    }
    const int left = vector.dst_x - vector.w / 2, top = vector.dst_y - vector.h / 2;
    if (left < 0 || top < 0 || vector.motion_scale == 0) continue;
    MotionCell cell{0, 0, Kind::kStill};
    if (vector.motion_x != 0 || vector.motion_y != 0) {
      // motion_x / motion_scale is the source's place minus the block's.
      const float per_unit = factor / static_cast<float>(vector.motion_scale);
      cell = {static_cast<float>(vector.motion_x) * per_unit,
              static_cast<float>(vector.motion_y) * per_unit, Kind::kMoved};
    }
    if (cell_px_ == kSmallCell) {
      const int column_begin = left / kSmallCell, row_begin = top / kSmallCell;
      const int column_end = std::min((left + vector.w) / kSmallCell, columns_);
      const int row_end = std::min((top + vector.h) / kSmallCell, rows_);
      for (int row = row_begin; row < row_end; ++row)
        for (int column = column_begin; column < column_end; ++column)
          put(*place_of(column, row), cell);
      continue;
    }
    const int column = left / kLargeCell, row = top / kLargeCell;
    if (column >= columns_ || row >= rows_) continue;
    MotionCell& place = *place_of(column, row);
    if (vector.w == kLargeCell && vector.h == kLargeCell) {
      put(place, cell);
      continue;
    }
    // The parts of a cell come one after the other.
    if (parts.place() != &place) {
      if (parts.place() != nullptr) put(*parts.place(), parts.middle());
      parts.begin(place);
    }
    parts.add(cell, vector.w * vector.h);
  }
  if (parts.place() != nullptr) put(*parts.place(), parts.middle());
  return has_others;
}

void MotionComposer::append(const Cells& step, const Cells& before, Cells& out) const {
  out.resize(step.size());
  const Grid grid(cell_px_, columns_, rows_);
  std::size_t i = 0;
  for (int row = 0; row < rows_; ++row) {
    for (int column = 0; column < columns_; ++column, ++i) {
      const MotionCell& own = step[i];
      if (own.kind == Kind::kStill) {
        out[i] = before[i];
      } else if (own.kind == Kind::kUnknown) {
        out[i] = {};
      } else {
        const Place center = grid.center_of(column, row);
        out[i] = joined(own, before[grid.index_at({center.x - own.dx, center.y - own.dy})]);
      }
    }
  }
}

void MotionComposer::append_backward(const Cells& step, const Cells& sample_motion,
                                     float sample_share, Cells& out) const {
  constexpr int kIterations = 2;
  const auto tolerance = static_cast<float>(cell_px_);
  out.resize(step.size());
  const Grid grid(cell_px_, columns_, rows_);
  std::size_t i = 0;
  for (int row = 0; row < rows_; ++row) {
    for (int column = 0; column < columns_; ++column, ++i) {
      const MotionCell& own = step[i];
      if (own.kind == Kind::kStill && sample_motion[i].kind == Kind::kStill) {
        out[i] = own;
        continue;
      }
      out[i] = {};
      if (own.kind == Kind::kUnknown) continue;
      const Place center = grid.center_of(column, row);
      const Place source{center.x - own.dx, center.y - own.dy};
      // Where the content was in the sample, first by constant velocity.
      Place in_sample{source.x + sample_share * own.dx, source.y + sample_share * own.dy};
      MotionCell motion = sample_motion[grid.index_at(in_sample)];
      for (int n = 0; n < kIterations && motion.kind != Kind::kUnknown; ++n) {
        in_sample = {source.x + motion.dx, source.y + motion.dy};
        motion = sample_motion[grid.index_at(in_sample)];
      }
      const float off = std::max(std::abs(source.x + motion.dx - in_sample.x),
                                 std::abs(source.y + motion.dy - in_sample.y));
      if (motion.kind == Kind::kUnknown || off > tolerance) continue;  // covered in the sample
      motion.dx = -motion.dx;
      motion.dy = -motion.dy;
      out[i] = joined(own, motion);
    }
  }
}

bool MotionComposer::compose_to_sample(const Reference& parent, Duration pts, Cells& out) const {
  switch (parent.relation) {
    case Relation::kBroken:
      return false;
    case Relation::kIsSample:
      out.assign(step_.begin(), step_.end());
      return true;
    case Relation::kAfterSample:
      append(step_, parent.motion, out);
      return true;
    case Relation::kBeforeSample: {
      const double whole = to_seconds(pts - parent.pts);
      const double share = whole > 0 ? to_seconds(sample_pts_ - parent.pts) / whole : 0;
      append_backward(step_, parent.motion, static_cast<float>(std::clamp(share, 0.0, 1.0)), out);
      return true;
    }
  }
  return false;
}

void MotionComposer::rebase(Reference* parent, bool is_step_needed) {
  // The frame at hand is the sample now; step_ leads from it to `parent`, the parents' own steps
  // further down. What is not on that way has no relation to it.
  for (Reference& reference : references_)
    if (parent == nullptr || reference.packet_id > parent->packet_id)
      reference.relation = Relation::kBroken;
  if (parent == nullptr) return;
  const auto begin_motion = [this](Reference& reference) -> Cells& {
    if (reference.motion.capacity() == 0) reference.motion = take_spare();
    reference.relation = Relation::kBeforeSample;
    return reference.motion;
  };
  Cells& to_parent = begin_motion(*parent);
  if (is_step_needed)
    to_parent.assign(step_.begin(), step_.end());
  else
    to_parent.swap(step_);
  for (auto i = static_cast<std::size_t>(parent - references_.data()); i > 0; --i) {
    const Reference& upper = references_[i];
    Reference& lower = references_[i - 1];
    if (upper.relation == Relation::kBeforeSample && upper.has_step)
      append(upper.motion, upper.step, begin_motion(lower));
    else
      lower.relation = Relation::kBroken;
  }
}

void MotionComposer::prune(std::optional<std::int64_t> oldest_pending_id) {
  // All that is to come was decoded after the highest reference older than every pending packet:
  // it, or one above it, is their parent.
  while (references_.size() > 1 &&
         (!oldest_pending_id || references_[1].packet_id < *oldest_pending_id))
    drop(0);
}

void MotionComposer::drop(std::size_t index) {
  Reference& gone = references_[index];
  for (Cells* const cells : {&gone.motion, &gone.step})
    if (cells->capacity() > 0) spare_.push_back(std::move(*cells));
  references_.erase(references_.begin() + static_cast<std::ptrdiff_t>(index));
}

MotionComposer::Cells MotionComposer::take_spare() {
  if (spare_.empty()) return {};
  Cells cells = std::move(spare_.back());
  spare_.pop_back();
  return cells;
}

}  // namespace framemill
