#include "framemill/engine/sinks/modbus/register_map.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace framemill {
namespace {

TEST(RegisterMap, NothingOverlaps) {
  const RegisterMap full(std::vector<CameraId>(5000, "c"), std::vector<RegisterMap::Rule>(20'000));
  EXPECT_EQ(full.cameras().size(), RegisterMap::kCamerasMax) << "what does not fit is left out";
  EXPECT_LE(RegisterMap::kFirstOpenBit + static_cast<int>(full.rules().size()),
            RegisterMap::kFirstUnseenBit);
  EXPECT_LE(RegisterMap::kFirstCamera +
                RegisterMap::kCameraRegisters * static_cast<int>(full.cameras().size()),
            RegisterMap::kFirstRule);
  EXPECT_LE(full.bits(), 65'536);
  EXPECT_LE(full.registers(), 65'536);
  EXPECT_THAT(full.left_out(), testing::HasSubstr("the last 3010 cameras and 12500 rules"));
  EXPECT_THAT(full.markdown(), testing::HasSubstr(full.left_out()));
  EXPECT_EQ(RegisterMap({"c"}, {}).left_out(), "");
}

TEST(RegisterMap, TheDocumentNamesEveryCameraAndRule) {
  const RegisterMap map({"gate-1", "gate-2"},
                        {{"gate-1", "intruder", "presence", AlarmSeverity::kCritical},
                         {"gate-2", "down", "camera_down", AlarmSeverity::kWarning},
                         {"", "gpu", "device_busy", AlarmSeverity::kInfo}});
  const std::string text = map.markdown();
  using testing::HasSubstr;
  EXPECT_THAT(text, HasSubstr("| 100 | `gate-1` `intruder` (presence, critical): alarm open |"));
  EXPECT_THAT(text, HasSubstr("| 10001 | `gate-2` `down` (camera_down, warning): open and not"));
  EXPECT_THAT(text, HasSubstr("| 102 | the run's `gpu`"));
  EXPECT_THAT(text, HasSubstr("| 110 | `gate-2`: 0 connecting, 1 up"));
  EXPECT_THAT(text, HasSubstr("| 20006 | `gate-2` `down`"));
  EXPECT_EQ(map.find_rule("gate-2", "down"), std::optional<std::size_t>(1));
  EXPECT_EQ(map.find_rule("gate-1", "down"), std::nullopt);
}

}  // namespace
}  // namespace framemill
