#include "framemill/plan/squishy_packing.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <numeric>
#include <random>
#include <set>

#include <gtest/gtest.h>

namespace framemill {
namespace {

constexpr double kNoLimit = 1e18;

std::vector<BatchCost> costs(std::initializer_list<std::pair<std::size_t, double>> latencies_ms) {
  std::vector<BatchCost> list;
  for (const auto& [batch, ms] : latencies_ms) list.push_back({batch, ms / 1e3, ms / 1e3, 0});
  return list;
}

/// The worked example of the Nexus paper, section 4.1. The figures are those that its text states:
/// A in batches of 8 takes 75 ms and of 16 100 ms (160 requests/s), B and C reach 128 requests/s
/// with 16; 4 of B take 50 ms, 4 of C 60 ms. SLOs 200, 250 and 250 ms.
std::vector<PackingSession> paper_sessions(double a_hz, double b_hz, double c_hz) {
  return {{.rate_hz = a_hz, .slo_s = .2, .costs = costs({{8, 75}, {16, 100}}), .model = 0},
          {.rate_hz = b_hz, .slo_s = .25, .costs = costs({{4, 50}, {16, 125}}), .model = 1},
          {.rate_hz = c_hz, .slo_s = .25, .costs = costs({{4, 60}, {16, 125}}), .model = 2}};
}

TEST(SquishyPacking, ThePapersExampleAtHighRates) {
  const std::vector<PackingSession> sessions = paper_sessions(1600, 1280, 1280);
  EXPECT_EQ(saturated_batch(sessions[0])->batch, 16U);  // "the maximum batch size we can use is 16"
  EXPECT_EQ(saturated_batch(sessions[1])->batch, 16U);
  // r_A / 160, r_B / 128, r_C / 128
  EXPECT_EQ(pack_sessions(sessions, kNoLimit).device_count(), 10 + 10 + 10);
}

TEST(SquishyPacking, ThePapersExampleAtLowRates) {
  const std::vector<PackingSession> sessions = paper_sessions(64, 32, 32);
  const Packing packing = pack_sessions(sessions, kNoLimit);
  // "it is possible to co-locate Model B, but not Model C, on the same GPU as Model A"
  ASSERT_EQ(packing.devices.size(), 2U);
  const PackedDevices& shared = packing.devices[0];
  ASSERT_EQ(shared.sessions.size(), 2U);
  EXPECT_NEAR(shared.duty_cycle_s, .125, 1e-9);
  EXPECT_EQ(shared.sessions[0].session, 0U);
  EXPECT_EQ(shared.sessions[0].batch, 8U);
  EXPECT_NEAR(shared.sessions[0].latency_s, .2, 1e-9);  // matches the SLO
  EXPECT_EQ(shared.sessions[1].session, 1U);
  EXPECT_EQ(shared.sessions[1].batch, 4U);
  EXPECT_NEAR(shared.sessions[1].latency_s, .175, 1e-9);  // 125 + 50
  EXPECT_NEAR(shared.occupancy, 1, 1e-9);                 // 75 + 50 of 125
  ASSERT_EQ(packing.devices[1].sessions.size(), 1U);
  EXPECT_EQ(packing.devices[1].sessions[0].session, 2U);
}

TEST(SquishyPacking, SixtyFourCamerasOnT4) {
  const auto devices = [](double rate_hz) {
    const PackingSession session{.rate_hz = rate_hz, .slo_s = .2, .costs = costs({{1, 12.5}})};
    return pack_sessions({session}, kNoLimit).device_count();
  };
  EXPECT_EQ(devices(640), 8);
  EXPECT_EQ(devices(640 * 1.5), 12);
  EXPECT_EQ(devices(640.001), 9);
}

TEST(SquishyPacking, MemoryKeepsModelsApart) {
  std::vector<PackingSession> sessions;
  for (std::size_t model = 0; model < 3; ++model)
    sessions.push_back({.rate_hz = 10, .slo_s = .2, .costs = costs({{1, 10}}), .model = model});
  EXPECT_EQ(pack_sessions(sessions, kNoLimit).device_count(), 1);
  for (PackingSession& session : sessions) session.memory_bytes = 6e9;
  EXPECT_EQ(pack_sessions(sessions, 11e9).device_count(), 3);
  EXPECT_EQ(pack_sessions(sessions, 12e9).device_count(), 2);
  for (PackingSession& session : sessions) session.model = 7;  // loaded once
  EXPECT_EQ(pack_sessions(sessions, 6e9).device_count(), 1);
}

TEST(SquishyPacking, ASlowSessionHoldsNoSlotInEachShortRound) {
  // Batches of one, as on a CPU: .53 + .106 of a device, and the rounds of the first alone are
  // shorter than its frame and one of the second together.
  const std::vector<PackingSession> sessions{
      {.rate_hz = 353, .slo_s = .1, .costs = costs({{1, 1.5}}), .model = 0},
      {.rate_hz = 42, .slo_s = 1, .costs = costs({{1, 2.5}}), .model = 1}};
  EXPECT_EQ(pack_sessions(sessions, kNoLimit).device_count(), 1);
}

TEST(SquishyPacking, AbsurdRatesEndAtOnce) {
  const Packing packing = pack_sessions(paper_sessions(1e15, 1e12, .001), kNoLimit);
  EXPECT_NEAR(static_cast<double>(packing.device_count()), 1e15 / 160 + 1e12 / 128, 5);
}

using Rng = std::mt19937;

/// Random but sensible costs: throughput does not fall with the batch, latency rises.
std::vector<BatchCost> make_costs(Rng& rng) {
  std::uniform_real_distribution<double> fixed(.001, .03);
  std::uniform_real_distribution<double> each(.001, .02);
  const double base = fixed(rng);
  const double frame = each(rng);
  std::vector<BatchCost> list;
  for (const std::size_t batch : {1U, 2U, 4U, 8U, 16U}) {
    const double time = base + frame * static_cast<double>(batch);
    list.push_back({batch, time, time, 0});
  }
  return list;
}

std::vector<PackingSession> random_sessions(Rng& rng, std::size_t count, double load_max) {
  std::vector<PackingSession> sessions;
  std::uniform_real_distribution<double> slo(1, 12);
  std::uniform_real_distribution<double> load(.02, load_max);
  for (std::size_t i = 0; i < count; ++i) {
    PackingSession session{.costs = make_costs(rng), .model = i};
    session.slo_s = least_slo_s(session.costs) * slo(rng);
    const BatchCost full = *saturated_batch(session);
    session.rate_hz = load(rng) * static_cast<double>(full.batch) / full.busy_s;
    sessions.push_back(std::move(session));
  }
  return sessions;
}

/// What the header promises of any packing.
void check_promises(const std::vector<PackingSession>& sessions, const Packing& packing) {
  std::vector<double> served(sessions.size());
  for (const PackedDevices& group : packing.devices) {
    ASSERT_GE(group.count, 1);
    double busy_s = 0;
    for (const PackedSession& packed : group.sessions) {
      const PackingSession& session = sessions[packed.session];
      const auto cost = std::ranges::find(session.costs, packed.batch, &BatchCost::batch);
      ASSERT_NE(cost, session.costs.end());
      EXPECT_LE(packed.latency_s, session.slo_s + 1e-6);
      // Each round takes all frames that came in one.
      EXPECT_GE(static_cast<double>(packed.batch * packed.batches) + 1e-6,
                group.duty_cycle_s * packed.rate_hz);
      EXPECT_GE(packed.latency_s + 1e-9,
                group.duty_cycle_s + cost->latency_s +
                    static_cast<double>(packed.batches - 1) * cost->busy_s);
      busy_s += static_cast<double>(packed.batches) * cost->busy_s;
      served[packed.session] += packed.rate_hz * static_cast<double>(group.count);
    }
    EXPECT_LE(busy_s, group.duty_cycle_s * (1 + 1e-6));
    EXPECT_NEAR(group.occupancy, busy_s / group.duty_cycle_s, 1e-6);
  }
  for (std::size_t i = 0; i < sessions.size(); ++i)
    EXPECT_NEAR(served[i], sessions[i].rate_hz, sessions[i].rate_hz * 1e-6) << "session " << i;
}

TEST(SquishyPacking, EachFrameIsServedInTimeAndNoDeviceIsOverfull) {
  Rng rng(11);
  for (int round = 0; round < 2000; ++round) {
    const std::vector<PackingSession> sessions = random_sessions(rng, 1 + round % 9, 3);
    const Packing packing = pack_sessions(sessions, kNoLimit);
    SCOPED_TRACE(round);
    check_promises(sessions, packing);
    if (HasFatalFailure()) return;
    double least = 0;  // no device does more than its fastest batch allows
    std::int64_t most = 0;
    for (const PackingSession& session : sessions) {
      const BatchCost full = *saturated_batch(session);
      const double share = session.rate_hz * full.busy_s / static_cast<double>(full.batch);
      least += share;
      most += static_cast<std::int64_t>(std::ceil(share - 1e-9));
    }
    EXPECT_GE(packing.device_count(), static_cast<std::int64_t>(std::ceil(least - 1e-6)));
    EXPECT_LE(packing.device_count(), most);
  }
}

/// Whether these sessions can share one device in any round length: in full over all lengths at
/// which a number of batches changes or an SLO ends.
bool fits_one_device(const std::vector<PackingSession>& sessions,
                     const std::vector<std::size_t>& members) {
  std::vector<double> rounds;
  for (const std::size_t i : members) {
    for (const BatchCost& cost : sessions[i].costs) {
      for (int k = 1; k <= 64; ++k)
        rounds.push_back(k * static_cast<double>(cost.batch) / sessions[i].rate_hz);
      rounds.push_back(sessions[i].slo_s - cost.latency_s);
    }
  }
  return std::ranges::any_of(rounds, [&](double round_s) {
    if (round_s <= 0) return false;
    double busy_s = 0;
    for (const std::size_t i : members) {
      double least_s = 1e9;
      for (const BatchCost& cost : sessions[i].costs) {
        const double batches = std::max(
            1.0, std::ceil(round_s * sessions[i].rate_hz / static_cast<double>(cost.batch) - 1e-6));
        const double latency_s = round_s + (batches - 1) * cost.busy_s + cost.latency_s;
        if (latency_s <= sessions[i].slo_s + 1e-9)
          least_s = std::min(least_s, batches * cost.busy_s);
      }
      busy_s += least_s;
    }
    return busy_s <= round_s * (1 + 1e-9);
  });
}

/// The fewest devices over all partitions of the sessions, none of which is split.
std::int64_t search_in_full(const std::vector<PackingSession>& sessions) {
  auto best = static_cast<std::int64_t>(sessions.size());
  std::vector<std::vector<std::size_t>> parts;
  const std::function<void(std::size_t)> place = [&](std::size_t i) {
    if (static_cast<std::int64_t>(parts.size()) >= best) return;
    if (i == sessions.size()) {
      best = static_cast<std::int64_t>(parts.size());
      return;
    }
    for (std::size_t p = 0; p < parts.size(); ++p) {
      parts[p].push_back(i);
      if (fits_one_device(sessions, parts[p])) place(i + 1);
      parts[p].pop_back();
    }
    parts.push_back({i});
    place(i + 1);
    parts.pop_back();
  };
  // The bound above cuts partitions that only equal the best: start one above it.
  ++best;
  place(0);
  return best;
}

TEST(SquishyPacking, SmallWorldsAgainstTheFullSearch) {
  Rng rng(5);
  int optimal = 0;
  constexpr int kRounds = 1500;
  for (int round = 0; round < kRounds; ++round) {
    const std::vector<PackingSession> sessions = random_sessions(rng, 2 + round % 5, .7);
    const std::int64_t best = search_in_full(sessions);
    const std::int64_t found = pack_sessions(sessions, kNoLimit).device_count();
    EXPECT_GE(found, best) << "the full search missed a packing, round " << round;
    EXPECT_LE(found, best + 1) << "round " << round;
    optimal += found == best ? 1 : 0;
  }
  EXPECT_GE(optimal, kRounds * 95 / 100) << "best fit is a heuristic, but a good one";
  RecordProperty("optimal_of_1500", optimal);
}

}  // namespace
}  // namespace framemill
