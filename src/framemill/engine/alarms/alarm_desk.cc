#include "framemill/engine/alarms/alarm_desk.h"

#include <algorithm>
#include <filesystem>
#include <set>
#include <utility>

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include "framemill/base/check.h"
#include "framemill/base/thread_name.h"
#include "framemill/config/rule_defaults.h"
#include "framemill/vision/annotate.h"

namespace framemill {
namespace {

constexpr std::size_t kPostsMax = 4096;
/// Past so many waiting changes no more pictures are kept for them: each holds a decoded frame.
constexpr std::size_t kPicturesWaitingMax = 32;
constexpr Duration kLookEvery = std::chrono::milliseconds(500);
constexpr Duration kFidelityEvery = std::chrono::seconds(5);
constexpr Duration kTidyEvery = std::chrono::minutes(1);

CameraRules::Options rules_of(const CameraSettings& camera, std::vector<std::string> labels) {
  CameraRules::Options options;
  options.rules = camera.rules;
  options.zones = camera.zones;
  options.lines = camera.lines;
  options.labels = std::move(labels);
  options.rate_hz = sampled_rate_hz(camera);
  return options;
}

}  // namespace

std::map<std::string, bool> AlarmDesk::Watch::retire() {
  std::map<std::string, bool> raised;
  const MutexLock lock(mu);
  if (!rules) return raised;
  for (std::size_t i = 0; i < rules->rules().size(); ++i)
    raised[rules->rules()[i].id] = rules->figure(i).is_raised;
  rules.reset();
  return raised;
}

AlarmDesk::AlarmDesk(AlarmDeskOptions options, const Clock& clock, AlarmDeskHooks hooks)
    : options_(std::move(options)), clock_(clock), hooks_(std::move(hooks)), posts_(kPostsMax) {}

AlarmDesk::~AlarmDesk() { stop(); }

Result<std::unique_ptr<AlarmDesk>> AlarmDesk::create(AlarmDeskOptions options, const Clock& clock,
                                                     AlarmDeskHooks hooks) {
  std::unique_ptr<AlarmDesk> desk(new AlarmDesk(std::move(options), clock, std::move(hooks)));
  if (desk->options_.settings.rules.empty()) return desk;
  CameraRules::Options rules;
  rules.rules = desk->options_.settings.rules;
  Result<std::shared_ptr<Watch>> watch = desk->make_watch(0, std::move(rules), {});
  if (!watch) return fail(watch.error());
  const MutexLock lock(desk->mu_);
  desk->run_watch_ = std::move(*watch);
  return desk;
}

AlarmBook* AlarmDesk::book() const {
  const MutexLock lock(mu_);
  return book_.get();
}

Result<AlarmBook*> AlarmDesk::open_book() {
  const MutexLock lock(mu_);
  if (book_) return book_.get();
  std::error_code error;
  std::filesystem::create_directories(options_.folder, error);
  if (error) {
    return fail(ErrorCode::kInvalidArgument,
                fmt::format("{}: cannot be made: {}; set engine.data to a folder that can",
                            options_.folder, error.message()));
  }
  Result<std::unique_ptr<AlarmBook>> book = AlarmBook::create(options_.folder + "/alarms.db");
  if (!book)
    return fail(book.error().code(),
                book.error().message() + "; engine.data names the folder of the alarms");
  Result<PictureStore> pictures =
      PictureStore::open(options_.folder + "/pictures", options_.settings.pictures_mb * 1'000'000);
  if (!pictures) return fail(pictures.error());
  if (!pictures_) pictures_.emplace(*std::move(pictures));
  book_ = std::move(*book);
  return book_.get();
}

Result<std::shared_ptr<AlarmDesk::Watch>> AlarmDesk::make_watch(CameraIndex index,
                                                                CameraRules::Options options,
                                                                CameraId id) {
  auto watch = std::make_shared<Watch>();
  watch->index = index;
  watch->id = std::move(id);
  watch->labels = options.labels;
  for (const RuleSettings& rule : options.rules) watch->rule_ids.insert(rule.id);
  if (!options.rules.empty()) {
    const Result<AlarmBook*> book = open_book();
    if (!book) return fail(book.error());
    for (const RuleSettings& rule : options.rules)
      options.is_raised.push_back((*book)->is_raised(watch->id, rule.id));
  }
  if (const Result<CameraRules> rules = CameraRules::create(options); !rules)
    return fail(rules.error());
  std::shared_ptr<Watch> old;
  {
    const MutexLock lock(mu_);
    for (const auto& [other_index, other] : watches_)
      if (!watch->id.empty() && other->id == watch->id) old = other;
    watch->life = old ? old->life : ++lives_;
  }
  if (old) {
    // What it decided may still wait to be written: the book does not know it yet.
    const std::map<std::string, bool> raised = old->retire();
    for (std::size_t i = 0; i < options.rules.size(); ++i)
      if (const auto known = raised.find(options.rules[i].id); known != raised.end())
        options.is_raised[i] = known->second;
  }
  watch->has_object_rules = std::ranges::any_of(
      options.rules, [](const RuleSettings& rule) { return is_object_rule(*rule.kind); });
  Result<CameraRules> rules = CameraRules::create(std::move(options));
  CHECK(rules.has_value());  // as above
  watch->wants_fidelity = rules->wants_fidelity();
  const MutexLock lock(watch->mu);
  watch->rules.emplace(*std::move(rules));
  return watch;
}

Result<void> AlarmDesk::check_camera(const CameraSettings& camera,
                                     std::vector<std::string> labels) {
  if (camera.rules.empty()) return {};
  CameraRules::Options options = rules_of(camera, std::move(labels));
  options.is_raised.resize(options.rules.size());
  const Result<CameraRules> rules = CameraRules::create(std::move(options));
  if (!rules) return fail(rules.error().at(fmt::format("cameras[{}]", camera.id)));
  return {};
}

void AlarmDesk::forget_camera(CameraIndex index) {
  const MutexLock lock(mu_);
  watches_.erase(index);
}

Result<void> AlarmDesk::set_camera(CameraIndex index, const CameraSettings& camera,
                                   std::vector<std::string> labels) {
  Result<std::shared_ptr<Watch>> watch =
      make_watch(index, rules_of(camera, std::move(labels)), camera.id);
  if (!watch) return fail(watch.error().at(fmt::format("cameras[{}]", camera.id)));
  {
    const MutexLock handling(handling_mu_);
    const MutexLock lock(mu_);
    std::erase_if(watches_, [&](const auto& entry) { return entry.second->id == camera.id; });
    watches_[index] = *watch;
  }
  if (AlarmBook* const all = book()) {
    all->clear_unknown(
        [&](const CameraId& id, const std::string& rule) {
          return id != camera.id ||
                 std::ranges::find(camera.rules, rule, &RuleSettings::id) != camera.rules.end();
        },
        clock_.wall_now());
    (void)posts_.try_push({});
  }
  return {};
}

void AlarmDesk::remove_camera(CameraIndex index) {
  std::shared_ptr<Watch> watch;
  {
    const MutexLock handling(handling_mu_);
    const MutexLock lock(mu_);
    const auto found = watches_.find(index);
    if (found == watches_.end()) return;
    watch = found->second;
    watches_.erase(found);
  }
  if (AlarmBook* const all = book()) {
    all->clear_unknown([&](const CameraId& id, const std::string&) { return id != watch->id; },
                       clock_.wall_now());
    (void)posts_.try_push({});
  }
}

std::shared_ptr<AlarmDesk::Watch> AlarmDesk::find_watch(CameraIndex index) const {
  const MutexLock lock(mu_);
  const auto found = watches_.find(index);
  return found == watches_.end() ? nullptr : found->second;
}

bool AlarmDesk::is_current(const Post& post) const {
  const MutexLock lock(mu_);
  if (post.watch == run_watch_) return true;
  return std::ranges::any_of(watches_, [&](const auto& entry) {
    return entry.second->life == post.watch->life && entry.second->rule_ids.contains(post.rule.id);
  });
}

bool AlarmDesk::has_object_rules(CameraIndex index) const {
  const std::shared_ptr<Watch> watch = find_watch(index);
  return watch != nullptr && watch->has_object_rules;
}

void AlarmDesk::start() {
  if (AlarmBook* const all = book()) {
    std::set<std::pair<CameraId, std::string>> known;
    {
      const MutexLock lock(mu_);
      for (const auto& [index, watch] : watches_) {
        const MutexLock rules_lock(watch->mu);
        for (const RuleSettings& rule : watch->rules->rules()) known.emplace(watch->id, rule.id);
      }
    }
    for (const RuleSettings& rule : options_.settings.rules) known.emplace(CameraId(), rule.id);
    all->clear_unknown(
        [&](const CameraId& id, const std::string& rule) {
          return known.contains({id, rule});
        },
        clock_.wall_now());
  }
  thread_ = std::thread([this] { run(); });
}

void AlarmDesk::take(const Answer& answer) {
  const std::shared_ptr<Watch> watch = find_watch(answer.camera);
  if (!watch || !watch->has_object_rules) return;
  const TimePoint captured = options_.is_live
                                 ? answer.stamp.captured_mono
                                 : TimePoint(answer.stamp.captured_at.time_since_epoch());
  std::vector<Post> posts;
  {
    const MutexLock lock(watch->mu);
    if (!watch->rules) return;
    for (const RuleChange& change : watch->rules->take(answer, captured)) {
      Post& post = posts.emplace_back(Post{.watch = watch,
                                           .rule = watch->rules->rules()[change.rule],
                                           .change = change,
                                           .answer = {}});
      if (answer.picture && change.is_raised && posts_.size() < kPicturesWaitingMax)
        post.answer = answer;
    }
  }
  // Not under the lock, which the thread that makes room in the queue takes, too. Not one of them
  // may get lost; false only where the run has ended.
  for (Post& post : posts) (void)posts_.push(std::move(post));
}

void AlarmDesk::run() {
  name_this_thread("alarms");
  auto look_at = std::chrono::steady_clock::now();
  while (true) {
    const std::optional<Post> post = posts_.pop_until(look_at);
    if (post) handle(*post);
    if (!post && posts_.is_drained()) break;
    emit_events();
    if (std::chrono::steady_clock::now() < look_at) continue;
    look_at = std::chrono::steady_clock::now() + kLookEvery;
    look_around();
    emit_events();
    note_settled();
    tidy_up();
  }
  emit_events();
}

void AlarmDesk::handle(const Post& post) {
  AlarmBook* const all = book();
  if (!post.watch || all == nullptr) return;
  const RuleSettings& rule = post.rule;
  if (!post.change.is_raised) {
    const MutexLock handling(handling_mu_);
    if (is_current(post)) all->clear(post.watch->id, rule.id, post.change.at);
    return;
  }
  AlarmBook::Raise raise;
  raise.id = new_alarm_id(post.change.at);
  raise.camera_id = post.watch->id;
  raise.rule = rule.id;
  raise.kind = to_string(*rule.kind);
  raise.message = post.change.message;
  raise.run = options_.run_id;
  raise.severity = rule.severity;
  raise.is_latched = rule.is_latched;
  raise.at = post.change.at;
  raise.seq = post.change.seq;
  if (post.answer && !all->is_raised(raise.camera_id, rule.id)) take_picture(post, raise);
  bool is_new = false;
  {
    const MutexLock handling(handling_mu_);
    is_new = is_current(post) && all->raise(raise);
  }
  if (!is_new) {
    if (!raise.picture_path.empty() && pictures_) pictures_->remove(raise.id);
    return;
  }
  spdlog::info("alarm {} raised: {}: {} ({})", raise.id,
               raise.camera_id.empty() ? "run" : raise.camera_id, raise.message,
               to_string(rule.severity));
  const MutexLock lock(mu_);
  RaiseCount& count = raise_counts_[{raise.camera_id, rule.id}];
  count = {raise.camera_id, rule.id, rule.severity, count.raised + 1};
}

void AlarmDesk::take_picture(const Post& post, AlarmBook::Raise& raise) {
  const Answer& answer = *post.answer;
  const Result<std::vector<std::uint8_t>> jpeg =
      draw_jpeg(*answer.picture, answer.detections, post.watch->labels,
                fmt::format("{}  {}: {}", raise.camera_id, raise.rule, raise.message));
  Result<void> written =
      jpeg ? pictures_->write(raise.id, *jpeg) : Result<void>(fail(jpeg.error()));
  if (written)
    raise.picture_path = pictures_->path_of(raise.id);
  else
    spdlog::error("alarm {} has no picture: {}", raise.id, written.error().message());
}

void AlarmDesk::emit_events() {
  AlarmBook* const all = book();
  if (all == nullptr) return;
  for (NumberedEvent& one : all->take_events()) {
    {
      const MutexLock lock(mu_);
      for (const auto& [index, watch] : watches_)
        if (watch->id == one.event.camera_id) one.event.camera = index;
    }
    if (one.event.state != AlarmState::kRaised)
      spdlog::info("alarm {} {}{}{}", one.event.alarm_id, to_string(one.event.state),
                   one.event.by.empty() ? "" : " by ", one.event.by);
    if (hooks_.emit) hooks_.emit(one.event);
    emitted_.push_back(one.number);
  }
}

void AlarmDesk::note_settled() {
  AlarmBook* const all = book();
  if (all == nullptr) return;
  std::int64_t number = 0;
  const std::int64_t settled =
      hooks_.settled ? hooks_.settled() : settled_ + static_cast<std::int64_t>(emitted_.size());
  while (settled_ < settled && !emitted_.empty()) {
    number = emitted_.front();
    emitted_.pop_front();
    ++settled_;
  }
  if (number > 0) all->confirm(number);
}

void AlarmDesk::look_around() {
  const TimePoint now = clock_.now();
  const WallTime wall_now = clock_.wall_now();
  const bool is_fidelity_due = !fidelity_due_ || now >= *fidelity_due_;
  if (is_fidelity_due) fidelity_due_ = now + kFidelityEvery;
  std::vector<std::shared_ptr<Watch>> watches;
  std::shared_ptr<Watch> run_watch;
  {
    const MutexLock lock(mu_);
    for (const auto& [index, watch] : watches_) watches.push_back(watch);
    run_watch = run_watch_;
  }
  std::map<std::pair<CameraId, std::string>, AlarmState> open;
  if (AlarmBook* const all = book())
    for (const Alarm& alarm : all->open_alarms()) open[{alarm.camera_id, alarm.rule}] = alarm.state;

  auto status = std::make_shared<RunStatus>();
  status->run_id = options_.run_id;
  status->at = wall_now;
  const auto add_rules = [&](const std::shared_ptr<Watch>& watch,
                             const CameraCondition& condition) {
    std::vector<Post>
        posts;  // handled by this thread, but not under the lock that answers wait for
    {
      const MutexLock lock(watch->mu);
      if (!watch->rules) return;
      const std::vector<RuleSettings>& rules = watch->rules->rules();
      if (options_.is_live) {
        for (RuleChange& change : watch->rules->note(condition, now, wall_now))
          posts.push_back(
              {.watch = watch, .rule = rules[change.rule], .change = change, .answer = {}});
      }
      for (std::size_t i = 0; i < rules.size(); ++i) {
        const RuleFigure figure = watch->rules->figure(i);
        const auto found = open.find({watch->id, rules[i].id});
        const bool is_open = found != open.end();
        status->rules.push_back(
            {.camera_id = watch->id,
             .id = rules[i].id,
             .kind = std::string(to_string(*rules[i].kind)),
             .severity = rules[i].severity,
             .value = figure.value,
             .events = figure.events,
             .is_open = is_open,
             .is_acknowledged = is_open && found->second == AlarmState::kAcknowledged});
      }
    }
    for (const Post& post : posts) handle(post);
  };
  for (const std::shared_ptr<Watch>& watch : watches) {
    CameraCondition condition;
    if (hooks_.look_at) {
      RunStatus::Camera camera;
      std::tie(camera, condition) =
          hooks_.look_at(watch->index, watch->wants_fidelity && is_fidelity_due);
      status->cameras.push_back(std::move(camera));
    }
    add_rules(watch, condition);
  }
  if (hooks_.device_busy) status->device_busy = hooks_.device_busy();
  if (run_watch) add_rules(run_watch, {.device_busy = status->device_busy});
  if (hooks_.show) hooks_.show(std::move(status));
}

void AlarmDesk::tidy_up() {
  AlarmBook* const all = book();
  if (all == nullptr) return;
  const Result<void> saved = all->flush();
  {
    const MutexLock lock(mu_);
    const std::string trouble = saved ? std::string() : saved.error().message();
    if (trouble != trouble_ && !trouble.empty())
      spdlog::error("alarms are kept in memory meanwhile: {}", trouble);
    trouble_ = trouble;
  }
  const TimePoint now = clock_.now();
  if (tidy_due_ && now < *tidy_due_) return;
  tidy_due_ = now + kTidyEvery;
  for (const std::string& path : all->forget(clock_.wall_now() - options_.settings.keep))
    pictures_->remove(std::filesystem::path(path).stem().string());
  for (const std::string& id : pictures_->make_room()) all->drop_picture(id);
}

void AlarmDesk::stop() {
  posts_.close();
  if (thread_.joinable()) thread_.join();
}

void AlarmDesk::settle() {
  note_settled();
  if (AlarmBook* const all = book()) (void)all->flush();
}

Result<std::vector<Alarm>> AlarmDesk::list(const AlarmQuery& query) const {
  const AlarmBook* const all = book();
  if (all == nullptr) return std::vector<Alarm>{};
  return all->list(query);
}

Result<Alarm> AlarmDesk::find(const std::string& id) const {
  const AlarmBook* const all = book();
  if (all == nullptr) return fail(ErrorCode::kNotFound, "there are no alarms: no camera has rules");
  return all->find(id);
}

Result<Alarm> AlarmDesk::acknowledge(const std::string& id, const std::string& by) {
  AlarmBook* const all = book();
  if (all == nullptr) return fail(ErrorCode::kNotFound, "there are no alarms: no camera has rules");
  Result<Alarm> alarm = all->acknowledge(id, by, clock_.wall_now());
  (void)posts_.try_push({});  // the thread tells the sinks now, not half a second later
  return alarm;
}

std::vector<AlarmDesk::RaiseCount> AlarmDesk::raise_counts() const {
  const MutexLock lock(mu_);
  std::vector<RaiseCount> counts;
  for (const auto& [key, count] : raise_counts_) counts.push_back(count);
  return counts;
}

std::string AlarmDesk::trouble() const {
  const MutexLock lock(mu_);
  return trouble_;
}

}  // namespace framemill
