#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>
#include <span>
#include <vector>

#include "framemill/base/clock.h"
#include "framemill/core/agreement.h"
#include "framemill/core/camera.h"

namespace framemill {

/// How full of edges a camera's picture is, beside what that camera is used to. Absolute thresholds
/// do not work: the edge density of real footage lies below what the usual recipe calls simple.
enum class SceneKind : std::uint8_t { kSimple, kUsual, kComplex };

/// Follows the edge density of one camera. A scene is simple (complex) from one deviation below
/// (above) the camera's mean on, and usual again within half of one, so a density that wavers does
/// not flip it. Mean and mean deviation are smoothed over about 256 readings; usual until there are
/// 20. Not thread-safe; O(1).
class SceneHistory {
 public:
  /// Share of the pixels that are edges, 0..1; NaN is left out.
  SceneKind update(double edge_density);
  [[nodiscard]] SceneKind kind() const { return kind_; }

 private:
  std::int64_t readings_ = 0;
  double mean_ = 0;
  double deviation_ = 0;
  SceneKind kind_ = SceneKind::kUsual;
};

/// The rungs of one model, best first, of the same classes.
struct Ladder {
  /// Expected fidelity of an inference by each rung against the top one, from configuration or
  /// measurement; 0..1, the first is 1. At least one rung.
  std::vector<double> quality;
};

struct LadderCamera {
  std::size_t ladder = 0;  ///< index
  Priority priority = Priority::kNormal;
};

struct LadderOptions {
  std::vector<Ladder> ladders;
  std::vector<LadderCamera> cameras;         ///< by CameraIndex
  std::size_t overloaded_windows = 2;        ///< in a row, then cheaper rungs
  std::size_t spare_windows = 10;            ///< in a row, then better rungs
  double overloaded_above = 1.0;             ///< occupancy of a window
  double relieved_below = .9;                ///< what cheaper rungs are to bring it to
  double spare_below = .85;                  ///< what it may reach through better rungs
  Duration dwell = std::chrono::seconds(5);  ///< from any change of a camera to a better rung
  // Exchanges at a load that asks for no change: a camera counts as of its kind for so long,
  Duration scene_hold = std::chrono::seconds(5);
  /// its rung is so old,
  Duration exchange_dwell = std::chrono::seconds(30);
  /// and what one camera gains is so many times what others lose.
  double exchange_gain = 1.5;
  double quality_min = 0;  ///< rungs of less quality are not used; the top one always may be
};

/// What a camera asked for in a window.
struct CameraDemand {
  /// Inferences a second that would be made with capacity to spare: every sampled frame under full,
  /// under adaptive the share that holds the fidelity asked for. >= 0; 0: the camera is silent.
  double inferences_per_second = 0;
  SceneKind scene = SceneKind::kUsual;
};

struct RungChange {
  CameraIndex camera = 0;
  std::size_t from = 0;  ///< rungs; 0 is the best
  std::size_t to = 0;
  friend bool operator==(const RungChange&, const RungChange&) = default;
};

/// Says which rung each camera uses. Asked at the end of each window (500 ms) with the demand of
/// the window, it predicts the occupancy: the sum of demand x cost over capacity.
/// - Overloaded for two windows in a row: cheaper rungs until the prediction is relieved, those
///   first which lose the least fidelity (quality x weight of the priority) per cost saved. All
///   cameras concerned change at once, over several rungs where need be: one change each.
/// - Occupancy below .85 for ten windows in a row: the better rungs that keep it there, those first
///   that gain the most per cost; the highest occupancy of these windows counts. Only cameras whose
///   last change is 5 s old. Silent cameras keep their rung.
/// - The loss of a simple scene counts half, that of a complex one twice: with capacity to spare
///   all are on the best rung, whatever they show, and under load simple scenes go first. A camera
///   counts as simple or complex once its scene has mostly been so for some seconds: that of a
///   still picture is noise about its mean, and of any kind by turns.
/// - Where the load asks for no change, rungs are exchanged once scenes have changed: one camera a
///   window goes to a better rung while others of simpler scenes make room for it on cheaper ones,
///   where that gains half as much again as it loses: the one that gains the most per cost of those
///   for which there is room. So what was exchanged is not exchanged back
///   before scenes have changed the other way.
/// What lies between .85 and 1 changes nothing else. A switch is a matter of the next frame only:
/// frames under way keep their rung. Quality is learned from audits: a rung's counts over all
/// cameras of the ladder are blended with the configured quality (worth kPriorDetections), a
/// camera's own with that; a rung never counts as better than the one above it. Deterministic. Not
/// thread-safe; O(n rungs^2 log n) in windows that change something, else O(n).
class LadderPolicy {
 public:
  static constexpr double kPriorDetections = 100;

  explicit LadderPolicy(LadderOptions options);
  /// One more, on the best rung; its index is the number of those before it.
  void add_camera(const LadderCamera& camera);

  /// `cost[ladder][rung]`: device time of one inference (service time of a batch over its frames),
  /// > 0; unknown ones (0) are not used. `capacity`: device seconds a second, such as the number of
  /// batches that run side by side with these service times; > 0. Overwrites `changes`, by camera.
  void decide(TimePoint now, std::span<const CameraDemand> demand,
              std::span<const std::vector<Duration>> cost, double capacity,
              std::vector<RungChange>& changes);

  /// An audit of an answer that `rung` inferred on that very frame.
  void learn(CameraIndex camera, std::size_t rung, const AgreementCounts& counts);

  [[nodiscard]] std::size_t rung_of(CameraIndex camera) const;
  /// Quality of a rung as the choice sees it, scene aside.
  [[nodiscard]] double quality(CameraIndex camera, std::size_t rung) const;
  /// Predicted for the rungs in use, from the last window's demand; 0 before it.
  [[nodiscard]] double occupancy() const { return occupancy_; }
  /// No cheaper rung is left that would relieve an overload.
  [[nodiscard]] bool is_exhausted() const { return is_exhausted_; }

 private:
  struct Camera {
    std::size_t rung = 0;
    std::optional<TimePoint> changed_at;
    double scene_score = 0;  // smoothed: -1 simple .. 1 complex
    SceneKind scene = SceneKind::kUsual;
    std::optional<TimePoint> scene_since;
    std::vector<AgreementCounts> audits;  // by rung
  };
  struct Move {
    CameraIndex camera = 0;
    std::size_t to = 0;
    double load = 0;   // device seconds a second that it saves or adds
    double worth = 0;  // fidelity lost or gained per load
  };
  /// What cameras of simpler scenes would make on cheaper rungs.
  struct Room {
    std::vector<Move> moves;  // the least lost first
    double load = 0;          // of all
  };
  struct Window {
    std::span<const CameraDemand> demand;
    std::span<const std::vector<Duration>> cost;
  };

  [[nodiscard]] double occupancy_of(const Window& window, std::span<const std::size_t> rungs,
                                    double capacity) const;
  [[nodiscard]] bool is_usable(const Window& window, CameraIndex camera, std::size_t rung) const;
  [[nodiscard]] double load_of(const Window& window, CameraIndex camera, std::size_t rung) const;
  [[nodiscard]] double loss_weight(CameraIndex camera) const;
  [[nodiscard]] std::optional<Move> best_down(const Window& window, CameraIndex camera,
                                              std::size_t from) const;
  [[nodiscard]] std::optional<Move> best_up(const Window& window, CameraIndex camera,
                                            std::size_t from) const;
  void relieve(const Window& window, double occupancy, double capacity,
               std::vector<std::size_t>& rungs);
  void use_spare(const Window& window, TimePoint now, double occupancy, double capacity,
                 std::vector<std::size_t>& rungs) const;
  void exchange(const Window& window, TimePoint now, double capacity,
                std::vector<std::size_t>& rungs) const;
  /// Whether there is room enough for `up`, and worth it; then `rungs` are changed so.
  [[nodiscard]] bool make_room(const Move& up, const Room& room, double capacity,
                               std::vector<std::size_t>& rungs) const;
  void follow_scenes(TimePoint now, std::span<const CameraDemand> demand);
  void apply(TimePoint now, std::span<const std::size_t> rungs, std::vector<RungChange>& changes);

  LadderOptions options_;  // cameras may be added
  std::vector<Camera> cameras_;
  std::vector<std::vector<AgreementCounts>> audits_;  // by ladder and rung
  std::deque<double> past_;  // occupancies of the last windows with the present rungs, newest last
  std::size_t overloaded_ = 0;  // windows in a row
  std::size_t spare_ = 0;
  double occupancy_ = 0;
  bool is_exhausted_ = false;
};

}  // namespace framemill
