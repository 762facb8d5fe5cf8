#include "framemill/cli/compare_misses.h"

#include <algorithm>
#include <tuple>

#include "framemill/base/check.h"

namespace framemill {
namespace {

constexpr float kSameObjectIou = .3F;

/// A missed object in one frame. Both point into what the caller compares.
struct Miss {
  const ComparedAnswer* wanted = nullptr;
  const ComparedAnswer* given = nullptr;  ///< null: the run has no answer for the frame
  std::size_t place = 0;                  ///< in wanted->detections

  [[nodiscard]] const Detection& object() const { return wanted->detections[place]; }
};

using MissRun = std::vector<Miss>;  ///< one object, frame after frame; never empty

/// Runs that the frame before took part in; `runs` holds all of the clip.
class RunBuilder {
 public:
  void add_frame(const ComparedAnswer& wanted, const ComparedAnswer* given,
                 std::span<const std::size_t> missed) {
    std::vector<std::size_t> open_now;
    std::vector<bool> is_taken(open_.size());
    for (const std::size_t place : missed) {
      const Miss miss{&wanted, given, place};
      const std::size_t before = best_open(miss.object(), is_taken);
      if (before < open_.size()) {
        is_taken[before] = true;
        runs_[open_[before]].push_back(miss);
        open_now.push_back(open_[before]);
      } else {
        open_now.push_back(runs_.size());
        runs_.push_back({miss});
      }
    }
    open_ = std::move(open_now);
  }
  [[nodiscard]] std::vector<MissRun> take() { return std::move(runs_); }

 private:
  /// The free one of open_ that overlaps `object` most; open_.size() where none does enough.
  [[nodiscard]] std::size_t best_open(const Detection& object,
                                      const std::vector<bool>& is_taken) const {
    std::size_t best = open_.size();
    float best_iou = 0;
    for (std::size_t i = 0; i < open_.size(); ++i) {
      const Detection& last = runs_[open_[i]].back().object();
      const float overlap = iou(last.box, object.box);
      if (is_taken[i] || last.class_id != object.class_id || overlap < kSameObjectIou) continue;
      if (overlap > best_iou) {
        best = i;
        best_iou = overlap;
      }
    }
    return best;
  }

  std::vector<MissRun> runs_;
  std::vector<std::size_t> open_;  ///< runs that the last frame took part in
};

std::vector<MissRun> runs_of_clip(std::span<const ComparedAnswer> reference,
                                  std::span<const ComparedAnswer> answers,
                                  const AgreementThresholds& thresholds) {
  RunBuilder builder;
  auto answer = answers.begin();
  for (const ComparedAnswer& wanted : reference) {
    if (wanted.origin == Origin::kNone) continue;
    while (answer != answers.end() && answer->frame_index < wanted.frame_index) ++answer;
    const bool is_there = answer != answers.end() && answer->frame_index == wanted.frame_index;
    const ComparedAnswer* const given = is_there ? &*answer : nullptr;
    const std::span<const Detection> detections =
        is_there ? std::span<const Detection>(answer->detections) : std::span<const Detection>();
    builder.add_frame(wanted, given, find_missed(wanted.detections, detections, thresholds));
  }
  return builder.take();
}

const Miss& middle_of(const MissRun& run) { return run[run.size() / 2]; }

/// The worst first; equal ones stay as they came, which is by frame.
void sort_worst_first(std::vector<MissRun>& runs) {
  std::ranges::stable_sort(runs, std::greater<>(), [](const MissRun& run) {
    return std::tuple(run.size(), middle_of(run).object().score);
  });
}

WorstMiss show(CameraIndex camera, const MissRun& run, const AgreementThresholds& thresholds) {
  const Miss& miss = middle_of(run);
  WorstMiss shown{.camera = camera,
                  .frame_index = miss.wanted->frame_index,
                  .pts_s = miss.wanted->pts_s,
                  .frames_missed = static_cast<std::int64_t>(run.size()),
                  .seconds_missed = run.back().wanted->pts_s - run.front().wanted->pts_s};
  for (std::size_t i = 0; i < miss.wanted->detections.size(); ++i) {
    const Detection& detection = miss.wanted->detections[i];
    if (i == miss.place) shown.missed = shown.reference.size();
    if (detection.score > thresholds.base) shown.reference.push_back(detection);
  }
  if (miss.given != nullptr) {
    shown.origin = miss.given->origin;
    shown.source_frame_index = miss.given->source_frame_index;
    std::ranges::copy_if(miss.given->detections, std::back_inserter(shown.given),
                         [&](const Detection& each) { return each.score > thresholds.lo; });
  }
  return shown;
}

}  // namespace

std::vector<WorstMiss> choose_worst_misses(std::span<const std::vector<ComparedAnswer>> reference,
                                           const ComparedRun& run, std::size_t count,
                                           const AgreementThresholds& thresholds) {
  CHECK(run.answers.size() == reference.size());
  std::vector<std::vector<MissRun>> clips;
  std::size_t rounds = 0;
  for (std::size_t i = 0; i < reference.size(); ++i) {
    clips.push_back(runs_of_clip(reference[i], run.answers[i], thresholds));
    sort_worst_first(clips.back());
    rounds = std::max(rounds, clips.back().size());
  }
  std::vector<WorstMiss> worst;
  for (std::size_t round = 0; round < rounds && worst.size() < count; ++round) {
    std::vector<std::pair<CameraIndex, const MissRun*>> candidates;  // each clip's next one
    for (std::size_t i = 0; i < clips.size(); ++i) {
      if (round < clips[i].size())
        candidates.emplace_back(static_cast<CameraIndex>(i), &clips[i][round]);
    }
    std::ranges::stable_sort(candidates, std::greater<>(), [](const auto& candidate) {
      return std::tuple(candidate.second->size(), middle_of(*candidate.second).object().score);
    });
    for (const auto& [camera, miss_run] : candidates) {
      if (worst.size() == count) break;
      worst.push_back(show(camera, *miss_run, thresholds));
    }
  }
  return worst;
}

}  // namespace framemill
