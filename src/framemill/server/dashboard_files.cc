#include "framemill/server/dashboard_files.h"

#include <array>

namespace framemill {
namespace {

constexpr std::string_view kPage = R"(<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>framemill</title></head>
<body><h1>framemill is running</h1>
<p>This build has no dashboard. <a href="/api/v1/openapi.yaml">The API</a>,
<a href="/metrics">metrics</a>, <a href="/readyz">readiness</a>.</p></body></html>
)";

constexpr std::array kFiles{StaticFile{
    .path = "/", .content_type = "text/html; charset=utf-8", .bytes = kPage, .hash = "plain-1"}};

}  // namespace

std::span<const StaticFile> dashboard_files() { return kFiles; }

}  // namespace framemill
