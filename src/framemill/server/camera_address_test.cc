#include "framemill/server/camera_address.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace framemill {
namespace {

TEST(UrlHost, IsFoundWhateverStandsAroundIt) {
  EXPECT_EQ(url_host("rtsp://10.0.0.5/1"), "10.0.0.5");
  EXPECT_EQ(url_host("rtsp://viewer:p@ss@gate.example:554/a@b"), "gate.example");
  EXPECT_EQ(url_host("rtsp://[fe80::1%25eth0]:554/1"), "fe80::1%25eth0");
  EXPECT_EQ(url_host("http://a?x=//b"), "a");
  EXPECT_EQ(url_host("clip.mp4"), "");
}

TEST(CameraAddressRules, KeepsAwayFromWhatOnlyThisMachineReaches) {
  const Result<CameraAddressRules> rules = CameraAddressRules::create({});
  ASSERT_TRUE(rules);
  for (const char* address : {"10.0.0.5", "192.168.1.2", "172.16.0.1", "8.8.8.8", "100.64.0.1",
                              "fd00::5", "2001:db8::1", "::ffff:10.0.0.5"})
    EXPECT_TRUE(rules->is_allowed(address)) << address;
  for (const char* address : {"127.0.0.1",
                              "127.255.255.254",
                              "0.0.0.0",
                              "0.1.2.3",
                              "169.254.169.254",
                              "169.254.0.1",
                              "224.0.0.1",
                              "239.1.2.3",
                              "255.255.255.255",
                              "240.0.0.1",
                              "::1",
                              "::",
                              "fe80::1",
                              "fe80::1%lo",
                              "febf::1",
                              "ff02::1",
                              "::ffff:127.0.0.1",
                              "::ffff:169.254.169.254",
                              "64:ff9b::7f00:1",
                              "no address",
                              ""})
    EXPECT_FALSE(rules->is_allowed(address)) << address;
}

TEST(CameraAddressRules, TakesTheSchemesOfCamerasOnly) {
  const Result<CameraAddressRules> rules = CameraAddressRules::create({});
  ASSERT_TRUE(rules);
  EXPECT_TRUE(rules->check("rtsp://10.0.0.5/1"));
  EXPECT_TRUE(rules->check("RTSPS://10.0.0.5/1"));
  EXPECT_TRUE(rules->check("synthetic://?rate=5"));
  for (const char* url :
       {"/etc/passwd", "clip.mp4", "file:///etc/passwd", "/dev/video0", "concat:a|b",
        "ftp://10.0.0.5/x", "rtsp://", "rtsp:///x", "rtsp://127.0.0.1/1", "rtsp://2130706433/1",
        "http://0x7f.1/", "http://[::1]/", "http://169.254.169.254/latest/meta-data",
        "rtsp://user:secret@localhost/1"}) {
    const Result<void> checked = rules->check(url);
    ASSERT_FALSE(checked) << url;
    EXPECT_EQ(checked.error().code(), ErrorCode::kInvalidArgument);
    EXPECT_THAT(checked.error().message(), testing::Not(testing::HasSubstr("secret")));
  }
}

TEST(CameraAddressRules, AFilterSaysWhereNoCameraMayBe) {
  const AddressFilter filter = CameraAddressRules::create({"127.0.0.1"})->filter();
  EXPECT_TRUE(filter("10.0.0.5"));
  EXPECT_TRUE(filter("127.0.0.1"));
  const Result<void> refused = filter("169.254.169.254");
  ASSERT_FALSE(refused);
  EXPECT_THAT(refused.error().message(), testing::AllOf(testing::HasSubstr("169.254.169.254"),
                                                        testing::HasSubstr("camera_networks")));
}

TEST(CameraAddressRules, NetworksOpenWhatTheyName) {
  const Result<CameraAddressRules> rules =
      CameraAddressRules::create({"127.0.0.0/8", "fe80::/10", "169.254.7.1"});
  ASSERT_TRUE(rules);
  for (const char* address : {"127.0.0.1", "::ffff:127.0.0.1", "fe80::5", "169.254.7.1"})
    EXPECT_TRUE(rules->is_allowed(address)) << address;
  EXPECT_FALSE(rules->is_allowed("169.254.7.2"));
  EXPECT_FALSE(rules->is_allowed("::1"));
  for (const char* wrong :
       {"", "localhost", "127.0.0.0/", "127.0.0.0/33", "127.0.0.0/-1", "127.0.0.0/8x", "::/129"})
    EXPECT_FALSE(CameraAddressRules::create({wrong})) << wrong;
}

}  // namespace
}  // namespace framemill
