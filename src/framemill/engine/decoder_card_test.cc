#include "framemill/engine/decoder_card.h"

#include <vector>

#include <gtest/gtest.h>

namespace framemill {
namespace {

TEST(DecoderCard, FollowsTheDevicesOfTheModel) {
  const struct {
    std::vector<std::string> devices;
    std::vector<int> cards;  ///< of cameras 0, 1, 2
  } cases[] = {
      {{"cuda:1"}, {1, 1, 1}},
      {{"cuda:0", "cuda:2"}, {0, 2, 0}},
      {{"tensorrt:3", "tensorrt:3#2", "CPU"}, {3, 3, 3}},
      {{"CPU"}, {0, 0, 0}},
      {{}, {0, 0, 0}},
  };
  for (const auto& [devices, cards] : cases)
    for (std::size_t camera = 0; camera < cards.size(); ++camera)
      EXPECT_EQ(decoder_card(devices, camera), cards[camera]) << testing::PrintToString(devices);
}

}  // namespace
}  // namespace framemill
