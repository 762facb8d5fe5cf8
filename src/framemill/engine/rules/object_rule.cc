#include "framemill/engine/rules/object_rule.h"

#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "framemill/config/duration.h"
#include "framemill/config/rule_defaults.h"

namespace framemill {
namespace {

/// An object that was not seen for so long has gone; the tracker ends its tracks after 2 s, too. At
/// low rates a few answers count more than the time.
constexpr Duration kLostAfter = std::chrono::seconds(3);
constexpr std::int64_t kLostAnswers = 3;

/// How long a blink of an object may be before its stay in a zone starts anew; likewise.
constexpr Duration kBlinkMax = std::chrono::seconds(1);
constexpr std::int64_t kBlinkAnswers = 2;

}  // namespace

ObjectRule::ObjectRule(RuleSettings rule, const ZoneSettings* zone, const LineSettings* line,
                       std::vector<bool> wanted, std::vector<std::string> labels, bool is_raised)
    : rule_(std::move(rule)),
      wanted_(std::move(wanted)),
      labels_(std::move(labels)),
      is_restored_(is_raised),
      is_beyond_(is_raised) {
  if (zone != nullptr) zone_ = zone->points;
  has_line_ = line != nullptr;
  if (line != nullptr) line_ = *line;
}

void ObjectRule::rest() {
  tracks_.clear();
  recent_.clear();
  arrivals_.clear();
  since_ = Duration(-1);
  is_restored_ = false;
  is_beyond_ = false;
}

std::vector<ObjectRule::Seen> ObjectRule::pick(const Answer& answer) const {
  std::vector<Seen> seen;
  for (const Detection& detection : answer.detections) {
    const auto class_id = static_cast<std::size_t>(detection.class_id);
    if (!wanted_.empty() && (class_id >= wanted_.size() || !wanted_[class_id])) continue;
    if (rule_.score && detection.score < *rule_.score) continue;
    const RelativePoint at = anchor_point(detection.box, rule_.anchor, answer.picture_size);
    seen.push_back({&detection, at, zone_.empty() || is_in_zone(at, zone_)});
  }
  return seen;
}

RuleVerdict ObjectRule::look(const Answer& answer, Duration watched) {
  ++looks_;
  if (since_ < Duration::zero()) since_ = watched;
  const std::vector<Seen> all = pick(answer);
  std::vector<Seen> inside;
  std::ranges::copy_if(all, std::back_inserter(inside), &Seen::is_inside);
  RuleVerdict verdict;
  switch (*rule_.kind) {
    case RuleKind::kPresence:
      verdict.value = static_cast<double>(inside.size());
      verdict.does_hold = !inside.empty();
      if (verdict.does_hold) verdict.message = describe(inside.size(), inside);
      break;
    case RuleKind::kAbsence:
      verdict.value = static_cast<double>(inside.size());
      verdict.does_hold = inside.empty();
      if (verdict.does_hold) verdict.message = fmt::format("no {}{}", describe(0, {}), place());
      break;
    case RuleKind::kCount:
      verdict = look_at_count(inside);
      break;
    case RuleKind::kDwell:
      verdict = look_for_dwell(all, watched);
      break;
    case RuleKind::kLineCrossing:
      verdict.events = count_crossings(all, watched);
      verdict.value = static_cast<double>(verdict.events);
      verdict.does_hold = verdict.events > 0;
      if (verdict.does_hold) {
        verdict.message = fmt::format("line {} crossed", line_.name);
        if (verdict.events > 1) verdict.message += fmt::format(" by {} at once", verdict.events);
      }
      break;
    case RuleKind::kDefect:
      verdict = look_for_defect(inside);
      break;
    case RuleKind::kRate:
      verdict = look_at_rate(
          has_line_ ? count_crossings(all, watched) : count_arrivals(all, watched), watched);
      break;
    default:  // fed by something else than answers
      break;
  }
  forget_lost_tracks(watched);
  return verdict;
}

std::string ObjectRule::place() const {
  return rule_.zone.empty() ? std::string() : " in zone " + rule_.zone;
}

/// "2 persons in zone dock"; without objects: what is looked for.
std::string ObjectRule::describe(std::size_t count, const std::vector<Seen>& seen) const {
  if (count == 0) return rule_.classes.empty() ? "object" : rule_.classes.front();
  std::string name = "object";
  const int first = seen.front().detection->class_id;
  const bool is_one_class =
      std::ranges::all_of(seen, [&](const Seen& one) { return one.detection->class_id == first; });
  if (is_one_class && static_cast<std::size_t>(first) < labels_.size())
    name = labels_[static_cast<std::size_t>(first)];
  return fmt::format("{} {}{}{}", count, name, count == 1 ? "" : "s", place());
}

RuleVerdict ObjectRule::look_at_count(const std::vector<Seen>& seen) {
  const Threshold threshold = threshold_of(rule_);
  RuleVerdict verdict;
  verdict.value = static_cast<double>(seen.size());
  const double limit = is_beyond_ ? threshold.clear_limit : threshold.limit;
  // Beyond the limit it begins; it is over once the way back past clear_limit is made.
  if (threshold.is_over)
    is_beyond_ = verdict.value > limit;
  else
    is_beyond_ = verdict.value < limit;
  verdict.does_hold = is_beyond_;
  if (is_beyond_)
    verdict.message =
        fmt::format("{}, {} than {:g}",
                    seen.empty() ? "no " + describe(0, {}) + place() : describe(seen.size(), seen),
                    threshold.is_over ? "more" : "fewer", threshold.limit);
  return verdict;
}

RuleVerdict ObjectRule::look_for_defect(const std::vector<Seen>& seen) {
  const auto frames = static_cast<std::size_t>(rule_.frames.value_or(1));
  const auto of = static_cast<std::size_t>(rule_.of.value_or(rule_.frames.value_or(1)));
  recent_.push_back(!seen.empty());
  if (recent_.size() > of) recent_.pop_front();
  const auto hits = static_cast<std::size_t>(std::ranges::count(recent_, true));
  RuleVerdict verdict;
  verdict.value = static_cast<double>(hits);
  // What was seen before the start may have been hits.
  const std::size_t unseen = is_restored_ ? of - recent_.size() : 0;
  verdict.does_hold = hits + unseen >= frames;
  if (verdict.does_hold)
    verdict.message = fmt::format("{} in {} of the last {} answers",
                                  seen.empty() ? describe(0, {}) : describe(seen.size(), seen),
                                  hits, recent_.size());
  return verdict;
}

RuleVerdict ObjectRule::look_for_dwell(const std::vector<Seen>& seen, Duration watched) {
  const Duration most = hold_for(rule_);
  // With the alarm open, who is there within a blink of the start has stayed all the time.
  const bool is_of_before =
      is_restored_ && (watched - since_ <= kBlinkMax || looks_ <= kBlinkAnswers);
  Duration longest{0};
  const Detection* longest_of = nullptr;
  for (const Seen& one : seen) {
    if (one.detection->track < 0) continue;
    Track& track = tracks_[one.detection->track];
    const bool has_blinked =
        watched - track.last_seen > kBlinkMax && looks_ - track.last_look > kBlinkAnswers;
    if (one.is_inside && (!track.is_inside || has_blinked))
      track.inside_since = is_of_before ? watched - most : watched;
    track.is_inside = one.is_inside;
    see(one, watched);
    const Duration stay = watched - track.inside_since;
    if (track.is_inside && (longest_of == nullptr || stay > longest)) {
      longest = stay;
      longest_of = one.detection;
    }
  }
  RuleVerdict verdict;
  verdict.value = to_seconds(longest);
  const bool has_dwelt = longest_of != nullptr && longest >= most;
  verdict.does_hold = has_dwelt || is_of_before;
  if (has_dwelt) {
    const auto label = static_cast<std::size_t>(longest_of->class_id);
    verdict.message =
        fmt::format("{} stays{} for {:.0f} s", label < labels_.size() ? labels_[label] : "object",
                    place(), to_seconds(longest));
  }
  return verdict;
}

std::int64_t ObjectRule::count_crossings(const std::vector<Seen>& seen, Duration watched) {
  std::int64_t crossings = 0;
  for (const Seen& one : seen) {
    if (one.detection->track < 0) continue;
    Track& track = see(one, watched);
    const LineSide side = side_of(line_, one.at);
    if (side == LineSide::kOn)
      continue;  // not across yet; an object that turns back does not count
    if (track.has_settled && does_cross(line_, track.settled, one.at)) {
      const bool is_forward = side == LineSide::kRight;
      if (rule_.direction == LineDirection::kBoth ||
          (rule_.direction == LineDirection::kForward) == is_forward)
        ++crossings;
    }
    track.settled = one.at;
    track.has_settled = true;
  }
  return crossings;
}

std::int64_t ObjectRule::count_arrivals(const std::vector<Seen>& seen, Duration watched) {
  std::int64_t arrivals = 0;
  for (const Seen& one : seen) {
    if (one.detection->track < 0) continue;
    Track& track = see(one, watched);
    if (one.is_inside && !track.is_counted) {
      track.is_counted = true;
      ++arrivals;
    }
  }
  return arrivals;
}

RuleVerdict ObjectRule::look_at_rate(std::int64_t events, Duration watched) {
  const Duration window = rate_window(rule_);
  arrivals_.insert(arrivals_.end(), static_cast<std::size_t>(events), watched);
  while (!arrivals_.empty() && watched - arrivals_.front() >= window) arrivals_.pop_front();
  RuleVerdict verdict;
  verdict.events = events;
  const double per_minute = static_cast<double>(arrivals_.size()) * 60 / to_seconds(window);
  verdict.value = per_minute;
  const Threshold threshold = threshold_of(rule_);
  const double limit = is_beyond_ ? threshold.clear_limit : threshold.limit;
  const bool is_past_limit = threshold.is_over ? per_minute > limit : per_minute < limit;
  // Too few is only known after a whole window; too many as soon as they are there. An alarm from
  // before the start goes on for as long as the part of the window that was not seen may bear it.
  const bool is_whole = watched - since_ >= window;
  if (is_whole) is_restored_ = false;
  if (is_restored_)
    is_beyond_ = threshold.is_over || is_past_limit;
  else
    is_beyond_ = (threshold.is_over || is_whole) && is_past_limit;
  verdict.does_hold = is_beyond_;
  if (is_beyond_)
    verdict.message =
        fmt::format("{:.3g} {} a minute{}, {} than {:g}", per_minute,
                    rule_.classes.size() == 1 ? rule_.classes.front() + "s" : "objects",
                    has_line_ ? " across line " + line_.name : place(),
                    threshold.is_over ? "more" : "fewer", threshold.limit);
  return verdict;
}

ObjectRule::Track& ObjectRule::see(const Seen& one, Duration watched) {
  Track& track = tracks_[one.detection->track];
  track.last_seen = watched;
  track.last_look = looks_;
  return track;
}

void ObjectRule::forget_lost_tracks(Duration watched) {
  std::erase_if(tracks_, [&](const auto& entry) {
    return watched - entry.second.last_seen > kLostAfter &&
           looks_ - entry.second.last_look > kLostAnswers;
  });
}

}  // namespace framemill
