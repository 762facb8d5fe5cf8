#include "framemill/video/source_url.h"

#include <string>
#include <utility>

#include <gtest/gtest.h>

#include "framemill/base/url.h"
#include "framemill/video/source.h"

namespace framemill {
namespace {

TEST(ClassifyUrl, FollowsTheTable) {
  const std::pair<const char*, UrlKind> cases[] = {
      {"rtsp://h/1", UrlKind::kRtsp},
      {"RTSPS://h/1", UrlKind::kRtsp},
      {"http://h/a.mjpg", UrlKind::kHttp},
      {"https://h/a.m3u8", UrlKind::kHttp},
      {"udp://239.0.0.1:5000", UrlKind::kUdp},
      {"/dev/video0", UrlKind::kDevice},
      {"/dev/v4l/by-id/usb-cam-video-index0", UrlKind::kDevice},
      {"clips/a.mp4", UrlKind::kFile},
      {"file:///tmp/a.mp4", UrlKind::kFile},
      {"a:b.mp4", UrlKind::kFile},
      {"synthetic://?rate=5", UrlKind::kSynthetic},
      {"/data/x://y.mp4", UrlKind::kFile},
  };
  for (const auto& [url, kind] : cases) {
    const Result<UrlKind> got = classify_url(url);
    ASSERT_TRUE(got) << url;
    EXPECT_EQ(*got, kind) << url;
  }
  for (const char* url :
       {"", "rtp://h:5004", "concat://a|b", "ftp://h/a", "rtsp://h/\n", "data://x"})
    EXPECT_FALSE(classify_url(url)) << url;
}

TEST(IsLiveUrl, NetworkAndDevices) {
  for (const char* url : {"rtsp://h/1", "http://h/a", "udp://h:1", "/dev/video2"})
    EXPECT_TRUE(is_live_url(url)) << url;
  for (const char* url : {"a.mp4", "synthetic://", "/dev/shm/a.mp4", "gopher://h"})
    EXPECT_FALSE(is_live_url(url)) << url;
}

TEST(Redact, ShowsNoSecret) {
  const std::pair<const char*, const char*> cases[] = {
      {"rtsp://10.0.0.5/1", "rtsp://10.0.0.5/1"},
      {"rtsp://viewer:secret@10.0.0.5/1", "rtsp://10.0.0.5/1"},
      {"rtsp://viewer:s@cret@10.0.0.5:554/1", "rtsp://10.0.0.5:554/1"},
      {"rtsp://viewer:s/cr?et@10.0.0.5/1", "rtsp://10.0.0.5/1"},
      {"rtsp://viewer@10.0.0.5", "rtsp://10.0.0.5"},
      {"rtsp://[fe80::1]:554/a@b", "rtsp://[fe80::1]:554/a@b"},
      {"rtsp://10.0.0.5:554/live@main", "rtsp://10.0.0.5:554/live@main"},
      {"http://h/v?channel=1&password=secret&x=2", "http://h/v?channel=1&password=***&x=2"},
      {"http://h/v?Auth_Token=secret", "http://h/v?Auth_Token=***"},
      {"rtsp://h/user=admin&password=secret&channel=1", "rtsp://h/user=***&password=***&channel=1"},
      {"clips/a@b.mp4", "clips/a@b.mp4"},
  };
  for (const auto& [url, want] : cases) EXPECT_EQ(redact(url), want);
}

TEST(WithCredentials, EncodesThem) {
  EXPECT_EQ(with_credentials("rtsp://h/1", "viewer", "p@ss/w:rd%"),
            "rtsp://viewer:p%40ss%2Fw%3Ard%25@h/1");
  EXPECT_EQ(with_credentials("rtsp://old:gone@h/1", "viewer", ""), "rtsp://viewer@h/1");
  EXPECT_EQ(with_credentials("rtsp://old:kept@h/1", "", ""), "rtsp://old:kept@h/1");
  EXPECT_EQ(redact(with_credentials("rtsp://h/1", "u:@/", "@:/?#")), "rtsp://h/1");
}

TEST(CreateSource, RefusesOtherSchemesWithAHint) {
  const SystemClock clock;
  SourceOptions options;
  options.url = "rtp://viewer:secret@h:5004";
  const auto source = create_source(options, clock);
  ASSERT_FALSE(source);
  EXPECT_EQ(source.error().code(), ErrorCode::kInvalidArgument);
  EXPECT_NE(source.error().message().find("serve it by RTSP"), std::string::npos);
  EXPECT_EQ(source.error().message().find("secret"), std::string::npos);
}

}  // namespace
}  // namespace framemill
