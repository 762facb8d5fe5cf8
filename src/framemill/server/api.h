#pragma once

#include <atomic>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "framemill/base/mutex.h"
#include "framemill/base/result.h"
#include "framemill/engine/engine.h"
#include "framemill/engine/sinks/sqlite/answer_history.h"
#include "framemill/server/access.h"
#include "framemill/server/alarm_board.h"
#include "framemill/server/answer_board.h"
#include "framemill/server/audit_log.h"
#include "framemill/server/camera_address.h"
#include "framemill/server/config_actions.h"
#include "framemill/server/event_log.h"
#include "framemill/server/http_message.h"
#include "framemill/server/metrics_page.h"
#include "framemill/server/run_meter.h"
#include "framemill/server/static_files.h"
#include "framemill/server/stream_hub.h"

namespace framemill {

/// What the API works with; all of it outlives the API.
struct ApiParts {
  const Clock& clock;
  const Access& access;
  const CameraAddressRules& addresses;
  AnswerBoard& board;
  EventLog& events;
  AlarmBoard& alarms;
  StreamHub& hub;
  RunMeter& meter;
  AuditLog& audit;
  std::span<const StaticFile> files;
  std::function<ServerFigures()> figures;  ///< of the server, for /metrics
  std::string config_name;                 ///< file name without folders; empty: none
  std::string save_changes;                ///< ask|always|never, as in ServerSettings
  bool is_config_watched = false;
};

/// Answers the requests of data/openapi.yaml: who may, what is asked for, what is said.
/// Thread-safety: all members, any thread.
class Api {
 public:
  explicit Api(ApiParts parts);

  /// From here on there is a run; `engine` and `history` outlive the last request. `defaults`: of
  /// cameras that are added. `history`: null where no sink keeps answers in a database.
  void attach(Engine& engine, CameraSettings defaults, ConfigActions config, AnswerHistory* history)
      EXCLUDES(mu_);
  void set_defaults(CameraSettings defaults) EXCLUDES(mu_);

  [[nodiscard]] HttpResponse handle(const HttpRequest& request);
  [[nodiscard]] UpgradeAnswer upgrade(const HttpRequest& request);

 private:
  /// A request that may be answered.
  struct Call {
    const HttpRequest& request;
    std::string name;  ///< of the {part} of the path; empty: none
    Principal who;
    Engine* engine = nullptr;  ///< null: no run yet, for routes that do without
  };
  struct ResultQuery;
  using Handler = HttpResponse (Api::*)(const Call& call);
  struct Route {
    std::string_view method;
    std::string_view path;  ///< "/api/v1/cameras/{}/pause"
    Role role;
    Handler handler;
    std::vector<std::string_view> parameters;
    bool is_change = false;
    bool is_engine_needed = true;
  };
  static const std::vector<Route>& routes();

  /// Empty: go on. Refuses what a page of another site, or a name that is not ours, asks.
  [[nodiscard]] std::optional<HttpResponse> check_site(const HttpRequest& request) const;
  [[nodiscard]] HttpResponse dispatch(const HttpRequest& request, const Principal& who);

  HttpResponse get_health(const Call& call);
  HttpResponse get_readiness(const Call& call);
  HttpResponse get_metrics(const Call& call);
  HttpResponse get_openapi(const Call& call);
  HttpResponse get_whoami(const Call& call);
  HttpResponse get_run(const Call& call);
  HttpResponse get_summary(const Call& call);
  HttpResponse get_plan(const Call& call);
  HttpResponse get_models(const Call& call);
  HttpResponse list_cameras(const Call& call);
  HttpResponse add_camera(const Call& call);
  HttpResponse get_camera(const Call& call);
  HttpResponse change_camera(const Call& call);
  HttpResponse remove_camera(const Call& call);
  HttpResponse pause_camera(const Call& call);
  HttpResponse resume_camera(const Call& call);
  HttpResponse restart_camera(const Call& call);
  HttpResponse get_snapshot(const Call& call);
  HttpResponse list_results(const Call& call);
  HttpResponse list_events(const Call& call);
  HttpResponse list_alarms(const Call& call);
  HttpResponse get_alarm(const Call& call);
  HttpResponse get_alarm_picture(const Call& call);
  HttpResponse acknowledge_alarm(const Call& call);
  HttpResponse get_config(const Call& call);
  HttpResponse reload_config(const Call& call);
  HttpResponse save_config(const Call& call);
  HttpResponse get_stream(const Call& call);

  /// Pages of the one and the other source.
  HttpResponse list_kept_results(const Call& call, const ResultQuery& query);
  HttpResponse list_last_results(const Call& call, const ResultQuery& query);
  /// The same for `config/save` and, where it is to be saved always, each change.
  Result<CameraChanges> save_changes(std::string_view by);
  void after_change(const Call& call);
  /// The camera as it stands; 404 where there is none.
  HttpResponse camera_response(const Call& call, const CameraId& id, int status);
  HttpResponse act_on_camera(const Call& call, Result<void> (Engine::*act)(const CameraId&),
                             std::string_view kind, std::string_view text);
  void add_event(std::string_view kind, std::string_view camera, std::string_view text,
                 std::string_view by);
  [[nodiscard]] CameraSettings defaults() const EXCLUDES(mu_);

  const ApiParts parts_;
  ConfigActions config_;              // set before engine_, then constant
  AnswerHistory* history_ = nullptr;  // likewise
  std::atomic<Engine*> engine_{nullptr};
  mutable Mutex mu_;
  CameraSettings defaults_ GUARDED_BY(mu_);
  struct Snapshot {
    std::int64_t seq = -1;
    int width = 0;
    bool has_boxes = false;
    std::shared_ptr<const std::string> jpeg;
  };
  std::map<CameraIndex, Snapshot> snapshots_ GUARDED_BY(mu_);  ///< the last one of each camera
};

}  // namespace framemill
