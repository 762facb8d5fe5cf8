#include "framemill/plan/squishy_packing.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <set>

#include "framemill/base/check.h"

/// The size of an item is not fixed: a frame costs less in a larger batch, and how large a batch
/// may be depends on how long the device takes for a round over all its sessions (the duty cycle
/// d), because a frame waits for up to one round before its batch runs: d + latency(b) <= slo.
///
/// 1. A session that needs more than a device takes whole ones: its worst case is a frame that just
///    missed a batch, so 2 * latency(b) <= slo, and the largest such b has the highest throughput.
/// 2. What is left over (less than a device each) is looked at alone: the largest b with
///    b / rate + latency(b) <= slo; its duty cycle is then b / rate. A session so slow that not
///    even a single frame can wait for the next one runs a batch of one each slo - latency(1).
/// 3. In the order of falling occupancy each is merged into the device it fills best. Merged, the
///    duty cycle is at most the shorter one, so the batches shrink to ceil(d * rate), and all of
///    them have to fit into d.
///
/// Where it differs from the paper: the device time of a batch and its latency are two figures,
/// because several batches may run at once (streams); a turn may be several batches one after the
/// other, because on a CPU batches of one are best, and a slow session beside a fast one would else
/// hold a slot in each of its short rounds; shorter duty cycles than the two of a merge are tried,
/// and a second order of merging (squishy_packing_test holds the outcome against a full search).

namespace framemill {
namespace {

constexpr double kTolerance = 1e-9;  // of comparisons between sums of rates and times
constexpr std::size_t kRoundsTried = 32;
constexpr double kBatchesMax = 64;  // in a turn; a finer division gains nothing

/// What a session does when its turn comes: equal batches one after the other.
struct Turn {
  std::size_t batch = 1, batches = 1;
  double busy_s = 0;
  double latency_s = 0;  ///< of the last batch, from the start of the turn
};

Turn turn_of(const BatchCost& cost, std::size_t batches) {
  return {cost.batch, batches, static_cast<double>(batches) * cost.busy_s,
          static_cast<double>(batches - 1) * cost.busy_s + cost.latency_s};
}

/// The cheapest turn that takes `frames` and ends within `latency_s`.
std::optional<Turn> cheapest_turn(const PackingSession& session, double frames, double latency_s) {
  std::optional<Turn> best;
  for (const BatchCost& cost : session.costs) {
    const double batches =
        std::max(1.0, std::ceil(frames / static_cast<double>(cost.batch) - 1e-6));
    if (batches > kBatchesMax) continue;
    const Turn turn = turn_of(cost, static_cast<std::size_t>(batches));
    if (turn.latency_s > latency_s + kTolerance || (best && turn.busy_s >= best->busy_s)) continue;
    best = turn;
  }
  return best;
}

struct Residual {
  double duty_cycle_s = 0;
  double occupancy = 0;
  std::vector<PackedSession> sessions;
  double memory_bytes = 0;
  std::set<std::size_t> models;
};

/// A session that needs less than a device, alone on one.
Residual place_alone(const std::vector<PackingSession>& all, std::size_t index, double rate_hz) {
  const PackingSession& session = all[index];
  std::optional<Turn> best;
  double round_s = 0;
  const auto offer = [&](const Turn& turn, double length_s) {
    if (length_s <= 0 || turn.busy_s > length_s + kTolerance) return;
    const double share = turn.busy_s / length_s;
    const double best_share = best ? best->busy_s / round_s : 0;
    // Of equal shares the longer round: more fits beside it.
    if (best && (share > best_share + kTolerance ||
                 (share > best_share - kTolerance && length_s <= round_s)))
      return;
    best = turn;
    round_s = length_s;
  };
  for (const BatchCost& cost : session.costs) {
    const double fill_s = static_cast<double>(cost.batch) / rate_hz;
    // k * fill + (k - 1) * busy + latency <= slo
    const double most = std::floor((session.slo_s - cost.latency_s + cost.busy_s + kTolerance) /
                                   (fill_s + cost.busy_s));
    if (most >= 1) {
      const Turn turn = turn_of(cost, static_cast<std::size_t>(std::min(most, kBatchesMax)));
      offer(turn, static_cast<double>(turn.batches) * fill_s);
    } else {
      // It does not fill up in time, so it leaves with what is there, as late as the SLO allows.
      offer(turn_of(cost, 1), std::min(session.slo_s - cost.latency_s, fill_s));
    }
  }
  CHECK(best.has_value());  // saturated_batch() serves any rate below a device's in a shorter round
  Residual residual;
  residual.duty_cycle_s = round_s;
  residual.occupancy = best->busy_s / round_s;
  residual.sessions.push_back({.session = index,
                               .batch = best->batch,
                               .batches = best->batches,
                               .rate_hz = rate_hz,
                               .latency_s = round_s + best->latency_s});
  residual.memory_bytes = session.memory_bytes;
  residual.models = {session.model};
  return residual;
}

/// All of `sessions` in rounds of `round_s`, or nothing where that does not fit.
std::optional<Residual> fill_round(const std::vector<PackingSession>& all,
                                   const std::vector<PackedSession>& sessions, double round_s) {
  Residual residual;
  residual.duty_cycle_s = round_s;
  double busy_s = 0;
  for (const PackedSession& packed : sessions) {
    const PackingSession& session = all[packed.session];
    const std::optional<Turn> turn =
        cheapest_turn(session, round_s * packed.rate_hz, session.slo_s - round_s);
    if (!turn) return std::nullopt;
    busy_s += turn->busy_s;
    if (busy_s > round_s * (1 + kTolerance)) return std::nullopt;
    residual.sessions.push_back(
        {packed.session, turn->batch, turn->batches, packed.rate_hz, round_s + turn->latency_s});
  }
  residual.occupancy = std::min(1.0, busy_s / round_s);
  return residual;
}

/// Both on one device, or nothing where they do not fit.
std::optional<Residual> merge(const std::vector<PackingSession>& all, const Residual& a,
                              const Residual& b, double memory_limit_bytes) {
  std::set<std::size_t> models = a.models;
  double memory_bytes = a.memory_bytes;
  for (const PackedSession& packed : b.sessions) {
    const PackingSession& session = all[packed.session];
    if (models.insert(session.model).second) memory_bytes += session.memory_bytes;
  }
  if (memory_bytes > memory_limit_bytes) return std::nullopt;
  std::vector<PackedSession> sessions = a.sessions;
  sessions.insert(sessions.end(), b.sessions.begin(), b.sessions.end());
  // The longest round is the cheapest per frame, but an SLO may ask for a shorter one. Only lengths
  // at which a batch is just full, or an SLO just kept, can be best.
  const double longest = std::min(a.duty_cycle_s, b.duty_cycle_s);
  std::vector<double> rounds{longest};
  for (const PackedSession& packed : sessions) {
    for (const BatchCost& cost : all[packed.session].costs) {
      const double fill_s = static_cast<double>(cost.batch) / packed.rate_hz;
      for (const double round_s :
           {std::floor(longest / fill_s) * fill_s, std::floor(longest / fill_s / 2) * fill_s,
            fill_s, all[packed.session].slo_s - cost.latency_s})
        if (round_s > 0 && round_s < longest) rounds.push_back(round_s);
    }
  }
  std::ranges::sort(rounds, std::greater<>());
  if (rounds.size() > kRoundsTried) rounds.resize(kRoundsTried);
  std::optional<Residual> best;
  for (const double round_s : rounds) {
    std::optional<Residual> both = fill_round(all, sessions, round_s);
    if (both && (!best || both->occupancy < best->occupancy - kTolerance)) best = std::move(both);
  }
  if (best) {
    best->models = std::move(models);
    best->memory_bytes = memory_bytes;
  }
  return best;
}

/// Each into the device it fills best, or into one of its own.
std::vector<Residual> merge_all(const std::vector<PackingSession>& sessions,
                                const std::vector<Residual>& alone, double memory_limit_bytes) {
  std::vector<Residual> placed;
  for (const Residual& residual : alone) {
    std::optional<Residual> best;
    std::size_t best_at = 0;
    for (std::size_t at = 0; at < placed.size(); ++at) {
      if (placed[at].occupancy >= 1 - kTolerance) continue;
      std::optional<Residual> both = merge(sessions, placed[at], residual, memory_limit_bytes);
      if (!both || (best && both->occupancy <= best->occupancy)) continue;
      best = std::move(both);
      best_at = at;
    }
    if (best)
      placed[best_at] = *std::move(best);
    else
      placed.push_back(residual);
  }
  return placed;
}

}  // namespace

std::int64_t Packing::device_count() const {
  std::int64_t count = 0;
  for (const PackedDevices& group : devices) count += group.count;
  return count;
}

double least_slo_s(const std::vector<BatchCost>& costs) {
  CHECK(!costs.empty());
  double least = 2 * costs.front().latency_s;
  for (const BatchCost& cost : costs) least = std::min(least, 2 * cost.latency_s);
  return least;
}

std::optional<BatchCost> saturated_batch(const PackingSession& session) {
  std::optional<BatchCost> best;
  double best_fps = 0;
  for (const BatchCost& cost : session.costs) {
    const double fps = static_cast<double>(cost.batch) / cost.busy_s;
    if (2 * cost.latency_s > session.slo_s + kTolerance || fps < best_fps) continue;
    best = cost;
    best_fps = fps;
  }
  return best;
}

Packing pack_sessions(const std::vector<PackingSession>& sessions, double memory_limit_bytes) {
  Packing packing;
  std::vector<Residual> alone;
  for (std::size_t i = 0; i < sessions.size(); ++i) {
    const PackingSession& session = sessions[i];
    if (session.rate_hz <= 0) continue;
    CHECK(session.memory_bytes <= memory_limit_bytes);
    const std::optional<BatchCost> full = saturated_batch(session);
    CHECK(full.has_value());
    const double full_hz = static_cast<double>(full->batch) / full->busy_s;
    const double whole = std::floor(session.rate_hz / full_hz + kTolerance);
    if (whole >= 1) {
      PackedDevices group;
      group.count = static_cast<std::int64_t>(whole);
      group.duty_cycle_s = full->busy_s;
      group.occupancy = 1;
      group.sessions.push_back({i, full->batch, 1, full_hz, 2 * full->latency_s});
      packing.devices.push_back(std::move(group));
    }
    const double rest = session.rate_hz - whole * full_hz;
    if (rest > full_hz * 1e-9) alone.push_back(place_alone(sessions, i, rest));
  }
  // Two orders, because neither is always best: the paper's, and the strictest round first.
  std::ranges::stable_sort(alone, std::greater<>(), &Residual::occupancy);
  std::vector<Residual> placed = merge_all(sessions, alone, memory_limit_bytes);
  std::ranges::stable_sort(alone, std::less<>(), &Residual::duty_cycle_s);
  if (std::vector<Residual> other = merge_all(sessions, alone, memory_limit_bytes);
      other.size() < placed.size())
    placed = std::move(other);
  for (Residual& residual : placed)
    packing.devices.push_back(
        {1, residual.duty_cycle_s, residual.occupancy, std::move(residual.sessions)});
  return packing;
}

}  // namespace framemill
