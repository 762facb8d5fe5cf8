#include "framemill/sched/ladder_policy.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <queue>
#include <tuple>

#include "framemill/base/check.h"
#include "framemill/sched/batch_policy.h"
#include "framemill/sched/fidelity.h"

namespace framemill {
namespace {

constexpr std::size_t kSceneKinds = 3;

constexpr double kHistoryGain = 1.0 / 256;
constexpr std::int64_t kReadingsMin = 20;
constexpr double kSimpleLoss = .5;
constexpr double kComplexLoss = 2;
constexpr double kSceneGain = .05;  // of a window in the smoothed score of a scene
constexpr double kSceneFrom = .5;   // score from which on a camera is of a kind ...
constexpr double kSceneTo = .25;    // ... and down to which it stays so

/// As if `prior` had been seen on `detections` more.
double blended(double part, double whole, double prior, double detections) {
  return (part + prior * detections) / (whole + detections);
}

double blended_quality(const AgreementCounts& counts, double prior, double detections) {
  return fidelity_of(blended(static_cast<double>(counts.found), static_cast<double>(counts.wanted),
                             prior, detections),
                     blended(static_cast<double>(counts.sure_right),
                             static_cast<double>(counts.sure_given), prior, detections));
}

}  // namespace

SceneKind SceneHistory::update(double edge_density) {
  if (std::isnan(edge_density)) return kind_;
  ++readings_;
  // The first readings weigh alike.
  const double gain = std::max(kHistoryGain, 1 / static_cast<double>(readings_));
  const double distance = edge_density - mean_;
  if (readings_ > kReadingsMin && deviation_ > 0) {
    const double places = distance / deviation_;
    if (std::abs(places) < .5) kind_ = SceneKind::kUsual;
    if (places <= -1) kind_ = SceneKind::kSimple;
    if (places >= 1) kind_ = SceneKind::kComplex;
  }
  mean_ += gain * distance;
  if (readings_ > 1) deviation_ += gain * (std::abs(distance) - deviation_);
  return kind_;
}

LadderPolicy::LadderPolicy(LadderOptions options)
    : options_(std::move(options)), cameras_(options_.cameras.size()) {
  for (const Ladder& ladder : options_.ladders) {
    CHECK(!ladder.quality.empty() && ladder.quality.front() == 1);
    for (const double quality : ladder.quality) CHECK(quality >= 0 && quality <= 1);
    audits_.emplace_back(ladder.quality.size());
  }
  for (std::size_t i = 0; i < cameras_.size(); ++i) {
    CHECK(options_.cameras[i].ladder < options_.ladders.size());
    cameras_[i].audits.resize(options_.ladders[options_.cameras[i].ladder].quality.size());
  }
  CHECK(options_.spare_below < options_.overloaded_above);
  CHECK(options_.overloaded_windows >= 1 && options_.spare_windows >= 1);
}

void LadderPolicy::add_camera(const LadderCamera& camera) {
  CHECK(camera.ladder < options_.ladders.size());
  options_.cameras.push_back(camera);
  cameras_.emplace_back().audits.resize(options_.ladders[camera.ladder].quality.size());
}

std::size_t LadderPolicy::rung_of(CameraIndex camera) const {
  CHECK(camera < cameras_.size());
  return cameras_[camera].rung;
}

void LadderPolicy::learn(CameraIndex camera, std::size_t rung, const AgreementCounts& counts) {
  CHECK(camera < cameras_.size() && rung < cameras_[camera].audits.size());
  cameras_[camera].audits[rung] += counts;
  audits_[options_.cameras[camera].ladder][rung] += counts;
}

double LadderPolicy::quality(CameraIndex camera, std::size_t rung) const {
  CHECK(camera < cameras_.size() && rung < cameras_[camera].audits.size());
  const std::size_t ladder = options_.cameras[camera].ladder;
  double quality = 1;
  for (std::size_t r = 1; r <= rung; ++r) {
    const double of_all =
        blended_quality(audits_[ladder][r], options_.ladders[ladder].quality[r], kPriorDetections);
    const double own = blended_quality(cameras_[camera].audits[r], of_all, kPriorDetections);
    quality = std::min(quality, own);
  }
  return quality;
}

bool LadderPolicy::is_usable(const Window& window, CameraIndex camera, std::size_t rung) const {
  if (window.cost[options_.cameras[camera].ladder][rung] <= Duration::zero()) return false;
  return rung == 0 || quality(camera, rung) >= options_.quality_min;
}

double LadderPolicy::load_of(const Window& window, CameraIndex camera, std::size_t rung) const {
  return window.demand[camera].inferences_per_second *
         to_seconds(window.cost[options_.cameras[camera].ladder][rung]);
}

double LadderPolicy::loss_weight(CameraIndex camera) const {
  const double weight = priority_weight(options_.cameras[camera].priority);
  switch (cameras_[camera].scene) {
    case SceneKind::kSimple:
      return kSimpleLoss * weight;
    case SceneKind::kComplex:
      return kComplexLoss * weight;
    case SceneKind::kUsual:
      break;
  }
  return weight;
}

double LadderPolicy::occupancy_of(const Window& window, std::span<const std::size_t> rungs,
                                  double capacity) const {
  double load = 0;
  for (CameraIndex i = 0; i < rungs.size(); ++i) load += load_of(window, i, rungs[i]);
  return load / capacity;
}

/// The cheaper rung which loses the least fidelity per load saved.
std::optional<LadderPolicy::Move> LadderPolicy::best_down(const Window& window, CameraIndex camera,
                                                          std::size_t from) const {
  std::optional<Move> best;
  for (std::size_t to = from + 1; to < cameras_[camera].audits.size(); ++to) {
    const double saved = load_of(window, camera, from) - load_of(window, camera, to);
    if (!(saved > 0) || !is_usable(window, camera, to)) continue;
    const double lost = loss_weight(camera) * window.demand[camera].inferences_per_second *
                        (quality(camera, from) - quality(camera, to));
    const Move move{.camera = camera, .to = to, .load = saved, .worth = lost / saved};
    if (!best || move.worth < best->worth) best = move;
  }
  return best;
}

/// The better rung which gains the most fidelity per load added.
std::optional<LadderPolicy::Move> LadderPolicy::best_up(const Window& window, CameraIndex camera,
                                                        std::size_t from) const {
  std::optional<Move> best;
  if (!(window.demand[camera].inferences_per_second > 0)) return best;
  for (std::size_t to = 0; to < from; ++to) {
    if (!is_usable(window, camera, to)) continue;
    const double added = load_of(window, camera, to) - load_of(window, camera, from);
    const double gained = loss_weight(camera) * window.demand[camera].inferences_per_second *
                          (quality(camera, to) - quality(camera, from));
    // A rung that costs no more is free.
    const Move move{
        .camera = camera, .to = to, .load = added, .worth = added > 0 ? gained / added : 1e18};
    if (!best || move.worth > best->worth) best = move;
  }
  return best;
}

void LadderPolicy::relieve(const Window& window, double occupancy, double capacity,
                           std::vector<std::size_t>& rungs) {
  // Least loss first; of equal ones the largest saving, so that few cameras change.
  const auto is_later = [](const Move& a, const Move& b) {
    return std::tuple(a.worth, -a.load, a.camera) > std::tuple(b.worth, -b.load, b.camera);
  };
  std::priority_queue<Move, std::vector<Move>, decltype(is_later)> moves(is_later);
  for (CameraIndex i = 0; i < rungs.size(); ++i)
    if (const std::optional<Move> move = best_down(window, i, rungs[i])) moves.push(*move);
  double load = occupancy * capacity;
  const double bound = options_.relieved_below * capacity * (1 + 1e-9);  // sums are rounded
  while (load > bound && !moves.empty()) {
    const Move move = moves.top();
    moves.pop();
    load -= move.load;
    rungs[move.camera] = move.to;
    if (const std::optional<Move> next = best_down(window, move.camera, move.to)) moves.push(*next);
  }
  is_exhausted_ = load > bound;
}

void LadderPolicy::use_spare(const Window& window, TimePoint now, double occupancy, double capacity,
                             std::vector<std::size_t>& rungs) const {
  const auto is_later = [](const Move& a, const Move& b) {
    return std::tuple(-a.worth, a.load, a.camera) > std::tuple(-b.worth, b.load, b.camera);
  };
  std::priority_queue<Move, std::vector<Move>, decltype(is_later)> moves(is_later);
  for (CameraIndex i = 0; i < rungs.size(); ++i) {
    const std::optional<TimePoint> changed_at = cameras_[i].changed_at;
    if (changed_at && now - *changed_at < options_.dwell) continue;
    if (const std::optional<Move> move = best_up(window, i, rungs[i])) moves.push(*move);
  }
  // The demand of this window may be a low one: each load counts as in the fullest of the windows.
  const double now_load = occupancy_ * capacity;
  const double peak = now_load > 0 ? occupancy * capacity / now_load : 1;
  double load = occupancy * capacity;
  while (!moves.empty()) {
    const Move move = moves.top();
    moves.pop();
    if (load + peak * move.load >= options_.spare_below * capacity) continue;
    load += peak * move.load;
    rungs[move.camera] = move.to;
    if (const std::optional<Move> next = best_up(window, move.camera, move.to)) moves.push(*next);
  }
}

void LadderPolicy::follow_scenes(TimePoint now, std::span<const CameraDemand> demand) {
  for (CameraIndex i = 0; i < cameras_.size(); ++i) {
    Camera& camera = cameras_[i];
    const double score = static_cast<double>(demand[i].scene) - 1;
    const bool is_first = !camera.scene_since;
    camera.scene_score += (is_first ? 1 : kSceneGain) * (score - camera.scene_score);
    SceneKind scene = camera.scene;
    if (std::abs(camera.scene_score) < kSceneTo) scene = SceneKind::kUsual;
    if (camera.scene_score <= -kSceneFrom) scene = SceneKind::kSimple;
    if (camera.scene_score >= kSceneFrom) scene = SceneKind::kComplex;
    if (!is_first && scene == camera.scene) continue;
    camera.scene = scene;
    camera.scene_since = now;
  }
}

void LadderPolicy::exchange(const Window& window, TimePoint now, double capacity,
                            std::vector<std::size_t>& rungs) const {
  std::vector<Move> candidates;
  std::array<Room, kSceneKinds> rooms;  // by scene of who needs it
  for (CameraIndex i = 0; i < rungs.size(); ++i) {
    const Camera& camera = cameras_[i];
    if (now - *camera.scene_since < options_.scene_hold) continue;
    if (camera.changed_at && now - *camera.changed_at < options_.exchange_dwell) continue;
    if (const std::optional<Move> down = best_down(window, i, rungs[i])) {
      for (std::size_t s = static_cast<std::size_t>(camera.scene) + 1; s < kSceneKinds; ++s) {
        rooms[s].moves.push_back(*down);
        rooms[s].load += down->load;
      }
    }
    if (camera.scene == SceneKind::kSimple) continue;  // nobody makes room for it
    if (const std::optional<Move> up = best_up(window, i, rungs[i])) candidates.push_back(*up);
  }
  const auto less_lost = [](const Move& a, const Move& b) {
    return std::tuple(a.worth, -a.load, a.camera) < std::tuple(b.worth, -b.load, b.camera);
  };
  const auto more_gained = [](const Move& a, const Move& b) {
    return std::tuple(-a.worth, a.camera) < std::tuple(-b.worth, b.camera);
  };
  for (Room& room : rooms) std::ranges::sort(room.moves, less_lost);
  std::ranges::sort(candidates, more_gained);
  for (const Move& up : candidates) {
    const Room& room = rooms[static_cast<std::size_t>(cameras_[up.camera].scene)];
    if (make_room(up, room, capacity, rungs)) return;
  }
}

bool LadderPolicy::make_room(const Move& up, const Room& room, double capacity,
                             std::vector<std::size_t>& rungs) const {
  const double load = occupancy_ * capacity;
  const double bound = std::max(load, options_.spare_below * capacity) * (1 + 1e-9);
  double after = load + up.load;
  // What costs no more needs no room, and is no exchange.
  if (after <= bound || after - room.load > bound) return false;
  double lost = 0;
  std::size_t down = 0;
  for (; after > bound && down < room.moves.size(); ++down) {
    after -= room.moves[down].load;
    lost += room.moves[down].worth * room.moves[down].load;
    if (options_.exchange_gain * lost > up.worth * up.load) return false;
  }
  if (after > bound || lost <= 0) return false;
  for (std::size_t i = 0; i < down; ++i) rungs[room.moves[i].camera] = room.moves[i].to;
  rungs[up.camera] = up.to;
  return true;
}

void LadderPolicy::apply(TimePoint now, std::span<const std::size_t> rungs,
                         std::vector<RungChange>& changes) {
  for (CameraIndex i = 0; i < rungs.size(); ++i) {
    Camera& camera = cameras_[i];
    if (rungs[i] == camera.rung) continue;
    changes.push_back({.camera = i, .from = camera.rung, .to = rungs[i]});
    camera.rung = rungs[i];
    camera.changed_at = now;
  }
  if (changes.empty()) return;
  past_.clear();
  overloaded_ = 0;
  spare_ = 0;
}

void LadderPolicy::decide(TimePoint now, std::span<const CameraDemand> demand,
                          std::span<const std::vector<Duration>> cost, double capacity,
                          std::vector<RungChange>& changes) {
  CHECK(demand.size() == cameras_.size() && cost.size() == options_.ladders.size());
  CHECK(capacity > 0);
  for (std::size_t i = 0; i < cost.size(); ++i)
    CHECK(cost[i].size() == options_.ladders[i].quality.size());
  changes.clear();
  const Window window{demand, cost};
  follow_scenes(now, demand);
  std::vector<std::size_t> rungs;
  for (const Camera& camera : cameras_) rungs.push_back(camera.rung);
  occupancy_ = occupancy_of(window, rungs, capacity);
  past_.push_back(occupancy_);
  if (past_.size() > std::max(options_.spare_windows, options_.overloaded_windows))
    past_.pop_front();

  overloaded_ = occupancy_ > options_.overloaded_above ? overloaded_ + 1 : 0;
  if (overloaded_ == 0) is_exhausted_ = false;
  if (overloaded_ >= options_.overloaded_windows) {
    spare_ = 0;
    relieve(window, occupancy_, capacity, rungs);
    apply(now, rungs, changes);
  } else if (occupancy_ < options_.spare_below) {
    spare_ = std::min(spare_ + 1, options_.spare_windows);
    if (spare_ < options_.spare_windows) return;
    use_spare(window, now, std::ranges::max(past_), capacity, rungs);
    apply(now, rungs, changes);
  } else {
    spare_ = 0;
  }
  if (changes.empty() && overloaded_ == 0) {
    exchange(window, now, capacity, rungs);
    apply(now, rungs, changes);
  }
  if (!changes.empty()) occupancy_ = occupancy_of(window, rungs, capacity);
}

}  // namespace framemill
