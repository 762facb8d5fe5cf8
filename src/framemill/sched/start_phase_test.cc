#include "framemill/sched/start_phase.h"

#include <algorithm>
#include <vector>

#include <gtest/gtest.h>

namespace framemill {
namespace {

TEST(StartPhase, CamerasComeEvenlyHoweverTheyAreOpened) {
  for (const std::size_t count : {2U, 10U, 50U}) {
    for (const double period_s : {.04, .1, .2}) {
      for (const double step_s : {0.0, .01, .04, .08}) {
        std::vector<double> phases;
        for (std::size_t i = 0; i < count; ++i) {
          const double earliest_s = step_s * static_cast<double>(i);
          const double start_s = start_time(i, period_s, earliest_s);
          EXPECT_GE(start_s, earliest_s - 1e-9);
          EXPECT_LT(start_s, earliest_s + 2 * period_s);
          phases.push_back(start_s / period_s - std::floor(start_s / period_s));
        }
        std::ranges::sort(phases);
        double least = 1 - phases.back() + phases.front();
        for (std::size_t i = 1; i < count; ++i) least = std::min(least, phases[i] - phases[i - 1]);
        EXPECT_GT(least, .35 / static_cast<double>(count))
            << count << " cameras, period " << period_s << ", step " << step_s;
      }
    }
  }
}

}  // namespace
}  // namespace framemill
