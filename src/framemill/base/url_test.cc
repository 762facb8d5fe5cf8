#include "framemill/base/url.h"

#include <string>
#include <tuple>

#include <gtest/gtest.h>

namespace framemill {
namespace {

TEST(Redact, FollowsTheTable) {
  const std::tuple<const char*, const char*> cases[] = {
      {"rtsp://10.0.0.5:554/1", "rtsp://10.0.0.5:554/1"},
      {"rtsp://viewer@10.0.0.5/1", "rtsp://10.0.0.5/1"},
      {"rtsp://viewer:s3cret@10.0.0.5:554/1", "rtsp://10.0.0.5:554/1"},
      {"RTSP://viewer:s3%40cret@host", "RTSP://host"},
      {"rtsp://viewer:p@ss@host/1", "rtsp://host/1"},
      {"rtsp://viewer:pa/ss@host/1", "rtsp://host/1"},
      {"rtsp://viewer:p@s/s@host/1", "rtsp://host/1"},
      {"rtsp://viewer:pa?ss@host/1", "rtsp://host/1"},
      {"rtsp://viewer:pa#ss@host/1", "rtsp://host/1"},
      {"rtsp://host:554/a@b", "rtsp://host:554/a@b"},
      {"rtsp://host/a@b", "rtsp://host/a@b"},
      {"rtsp://[fe80::1]/a@b", "rtsp://[fe80::1]/a@b"},
      {"http://cam/video.cgi?user=admin&pwd=hunter2&res=vga",
       "http://cam/video.cgi?user=***&pwd=***&res=vga"},
      {"http://cam/v?Access_Token=abc#x", "http://cam/v?Access_Token=***#x"},
      {"http://cam/v?", "http://cam/v?"},
      {"clips/line 3@home.mp4", "clips/line 3@home.mp4"},
      {"://u:p@x", "://u:p@x"},
      {"", ""},
  };
  for (const auto& [url, want] : cases) EXPECT_EQ(redact(url), want) << url;
}

TEST(UrlScheme, IsLowerCaseAndEmptyForPaths) {
  EXPECT_EQ(url_scheme("RTSPS://x"), "rtsps");
  EXPECT_EQ(url_scheme("synthetic://"), "synthetic");
  EXPECT_EQ(url_scheme("clips/a.mp4"), "");
  EXPECT_EQ(url_scheme("/dev/video0"), "");
  EXPECT_EQ(url_scheme("a/b://c"), "");
}

TEST(HasCredentials, SeesThemBeforeTheHostOnly) {
  EXPECT_TRUE(has_credentials("rtsp://viewer@host/1"));
  EXPECT_TRUE(has_credentials("rtsp://viewer:x@host/1"));
  EXPECT_FALSE(has_credentials("rtsp://host/1@2"));
  EXPECT_FALSE(has_credentials("a@b.mp4"));
}

TEST(PercentEncode, LeavesOnlyUnreservedCharacters) {
  EXPECT_EQ(percent_encode("aZ09-._~"), "aZ09-._~");
  EXPECT_EQ(percent_encode("p@ss:w/rd %\xC3\xA4"), "p%40ss%3Aw%2Frd%20%25%C3%A4");
}

}  // namespace
}  // namespace framemill
