#include "framemill/engine/sinks/modbus/modbus_sink.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cmath>
#include <cstring>
#include <fstream>
#include <optional>
#include <set>
#include <span>
#include <vector>

#include <arpa/inet.h>
#include <fmt/format.h>
#include <modbus/modbus.h>
#include <netdb.h>
#include <poll.h>
#include <spdlog/spdlog.h>
#include <sys/socket.h>
#include <unistd.h>

#include "framemill/base/clock.h"
#include "framemill/base/thread_name.h"

namespace framemill {
namespace {

constexpr std::size_t kClientsMax = 16;
constexpr auto kIdleMax = std::chrono::seconds(60);
constexpr int kTickMs = 200;
/// The rest of a torn request is waited for so long.
constexpr auto kTornMax = std::chrono::seconds(1);
/// Before what its length counts: transaction, protocol, length.
constexpr std::size_t kHeadBytes = 6;
constexpr std::size_t kUnitBytes = 1;
/// A reading request, whole: head, unit, function, address, count.
constexpr std::size_t kReadingBytes = kHeadBytes + kUnitBytes + 5;

/// A listening socket on HOST:PORT.
Result<int> listen_on(const std::string& listen) {
  const std::size_t colon = listen.rfind(':');
  std::string host = listen.substr(0, colon);
  if (host.size() > 2 && host.front() == '[') host = host.substr(1, host.size() - 2);
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_PASSIVE | AI_NUMERICSERV;
  addrinfo* found = nullptr;
  const auto refuse = [&](const char* why) {
    return fail(
        ErrorCode::kInvalidArgument,
        fmt::format("modbus cannot listen on {}: {}; name a free port of an address of this "
                    "machine",
                    listen, why));
  };
  if (const int code = ::getaddrinfo(host.c_str(), listen.c_str() + colon + 1, &hints, &found);
      code != 0)
    return refuse(::gai_strerror(code));
  const std::unique_ptr<addrinfo, void (*)(addrinfo*)> addresses(found, ::freeaddrinfo);
  const int fd = ::socket(found->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return refuse(std::strerror(errno));
  const int yes = 1;
  ::setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
  if (::bind(fd, found->ai_addr, found->ai_addrlen) != 0 || ::listen(fd, 8) != 0) {
    const int error = errno;
    ::close(fd);
    return refuse(std::strerror(error));
  }
  return fd;
}

int port_of(int fd) {
  sockaddr_storage address{};
  socklen_t length = sizeof address;
  ::getsockname(fd, reinterpret_cast<sockaddr*>(&address), &length);
  return ntohs(address.ss_family == AF_INET6
                   ? reinterpret_cast<const sockaddr_in6*>(&address)->sin6_port
                   : reinterpret_cast<const sockaddr_in*>(&address)->sin_port);
}

std::int64_t number_of(std::string_view camera_state) {
  // As RegisterMap::CameraNumber.
  constexpr std::array<std::string_view, 7> kStates{"connecting", "up",     "frozen", "down",
                                                    "ended",      "failed", "paused"};
  return std::ranges::find(kStates, camera_state) - kStates.begin();
}

int first_register_of_camera(std::size_t place) {
  return RegisterMap::kFirstCamera + RegisterMap::kCameraRegisters * static_cast<int>(place);
}

std::int64_t number_of(AlarmSeverity severity) { return static_cast<std::int64_t>(severity) + 1; }

}  // namespace

struct ModbusSink::Server {
  ~Server() {
    for (const Client& client : clients) ::close(client.fd);
    if (listener >= 0) ::close(listener);
    if (mapping != nullptr) modbus_mapping_free(mapping);
    if (context != nullptr) modbus_free(context);
  }
  struct Client {
    int fd;
    std::chrono::steady_clock::time_point heard_at;  ///< a whole request
    std::array<std::uint8_t, 2 * std::size_t{MODBUS_TCP_MAX_ADU_LENGTH}> bytes{};
    std::size_t size = 0;  ///< of what has come and is not answered
    std::optional<std::chrono::steady_clock::time_point> torn_at;
  };
  /// Sends what fits at once; false: the client has not read its replies, or is gone.
  bool answer(const Client& client, std::span<const std::uint8_t> request);
  modbus_t* context = nullptr;
  modbus_mapping_t* mapping = nullptr;
  int listener = -1;
  std::vector<Client> clients;
};

bool ModbusSink::Server::answer(const Client& client, std::span<const std::uint8_t> request) {
  modbus_set_socket(context, client.fd);
  const auto refuse = [&](unsigned int why) {
    return modbus_reply_exception(context, request.data(), why) >= 0;
  };
  const std::uint8_t function = request[kHeadBytes + kUnitBytes];
  if (function < MODBUS_FC_READ_COILS || function > MODBUS_FC_READ_INPUT_REGISTERS)
    return refuse(MODBUS_EXCEPTION_ILLEGAL_FUNCTION);
  const int count_max =
      function <= MODBUS_FC_READ_DISCRETE_INPUTS ? MODBUS_MAX_READ_BITS : MODBUS_MAX_READ_REGISTERS;
  // Not left to libmodbus, which sleeps and empties the socket then.
  if (request.size() != kReadingBytes) return refuse(MODBUS_EXCEPTION_ILLEGAL_DATA_VALUE);
  const int count = request[kReadingBytes - 2] * 256 + request[kReadingBytes - 1];
  if (count < 1 || count > count_max) return refuse(MODBUS_EXCEPTION_ILLEGAL_DATA_VALUE);
  return modbus_reply(context, request.data(), static_cast<int>(request.size()), mapping) >= 0;
}

ModbusSink::ModbusSink(ModbusSinkOptions options)
    : options_(std::move(options)), server_(std::make_unique<Server>()) {}

Result<std::unique_ptr<ModbusSink>> ModbusSink::create(ModbusSinkOptions options) {
  std::unique_ptr<ModbusSink> sink(new ModbusSink(std::move(options)));
  const ModbusSinkOptions& o = sink->options_;
  if (!o.map_path.empty()) {
    std::ofstream file(o.map_path, std::ios::trunc);
    file << o.map.markdown();
    if (!file.flush())
      return fail(ErrorCode::kInvalidArgument,
                  fmt::format("{}: the register map cannot be written there; name a file in a "
                              "folder that exists and is writable",
                              o.map_path));
  }
  if (const std::string left_out = o.map.left_out(); !left_out.empty())
    spdlog::warn("modbus: {}", left_out);
  Result<int> listener = listen_on(o.listen);
  if (!listener) return fail(listener.error());
  Server& server = *sink->server_;
  server.listener = *listener;
  sink->port_ = port_of(*listener);
  // The context only frames messages; its sockets are ours.
  server.context = modbus_new_tcp("127.0.0.1", sink->port_);
  const int bits = o.map.bits();
  const int registers = o.map.registers();
  server.mapping = modbus_mapping_new(bits, bits, registers, registers);
  if (server.context == nullptr || server.mapping == nullptr)
    return fail(ErrorCode::kInternal, "libmodbus cannot be used");
  {
    const MutexLock lock(sink->mu_);
    sink->set_register(RegisterMap::kMapVersion, RegisterMap::kVersion);
    sink->set_register(RegisterMap::kCameras, static_cast<std::int64_t>(o.map.cameras().size()));
    sink->set_register(RegisterMap::kRules, static_cast<std::int64_t>(o.map.rules().size()));
    sink->set_register(RegisterMap::kDeviceBusy, RegisterMap::kUnknown);
    for (std::size_t i = 0; i < o.map.cameras().size(); ++i)
      sink->set_register(first_register_of_camera(i) + 8, RegisterMap::kUnknown);
    for (std::size_t i = 0; i < o.map.rules().size(); ++i)
      sink->set_register(
          RegisterMap::kFirstRule + RegisterMap::kRuleRegisters * static_cast<int>(i) + 1,
          number_of(o.map.rules()[i].severity));
  }
  sink->thread_ = std::thread([s = sink.get()] { s->run(); });
  return sink;
}

ModbusSink::~ModbusSink() {
  is_stopping_ = true;
  if (thread_.joinable()) thread_.join();
}

void ModbusSink::set_register(int address, std::int64_t value) {
  const auto word = static_cast<std::uint16_t>(value);
  server_->mapping->tab_registers[address] = word;
  server_->mapping->tab_input_registers[address] = word;
}
void ModbusSink::set_wide(int address, std::int64_t value) {
  const auto wide = static_cast<std::uint32_t>(value);
  set_register(address, wide >> 16U);
  set_register(address + 1, wide & 0xFFFFU);
}
void ModbusSink::set_bit(int address, bool value) {
  server_->mapping->tab_bits[address] = value ? 1 : 0;
  server_->mapping->tab_input_bits[address] = value ? 1 : 0;
}

void ModbusSink::set_rule(const RuleKey& rule, OpenAlarm alarm) {
  const AlarmState state = alarm.state;
  if (state == AlarmState::kCleared)
    open_.erase(rule);
  else
    open_[rule] = alarm;
  const std::optional<std::size_t> place = options_.map.find_rule(rule.first, rule.second);
  if (!place) return;
  const auto i = static_cast<int>(*place);
  set_bit(RegisterMap::kFirstOpenBit + i, state != AlarmState::kCleared);
  set_bit(RegisterMap::kFirstUnseenBit + i, state == AlarmState::kRaised);
  set_register(RegisterMap::kFirstRule + RegisterMap::kRuleRegisters * i,
               state == AlarmState::kCleared  ? 0
               : state == AlarmState::kRaised ? 1
                                              : 2);
}

void ModbusSink::sum_up() {
  std::int64_t unseen = 0, worst = 0;
  for (const auto& [rule, alarm] : open_) {
    unseen += alarm.state == AlarmState::kRaised;
    worst = std::max(worst, number_of(alarm.severity));
  }
  set_register(RegisterMap::kOpen, static_cast<std::int64_t>(open_.size()));
  set_register(RegisterMap::kUnseen, unseen);
  set_register(RegisterMap::kWorst, worst);
  set_bit(RegisterMap::kAnyOpenBit, !open_.empty());
  set_bit(RegisterMap::kAnyUnseenBit, unseen > 0);
}

Result<void> ModbusSink::write_alarm(const AlarmEvent& event) {
  const MutexLock lock(mu_);
  set_rule({event.camera_id, event.rule}, {event.state, event.severity});
  sum_up();
  return {};
}

Result<void> ModbusSink::write_status(const RunStatus& status) {
  const MutexLock lock(mu_);
  std::vector<bool> is_there(options_.map.cameras().size(), false);
  std::set<CameraIndex> indices;
  for (const RunStatus::Camera& camera : status.cameras) {
    const auto found = std::ranges::find(options_.map.cameras(), camera.id);
    if (found == options_.map.cameras().end()) continue;
    const auto place = static_cast<std::size_t>(found - options_.map.cameras().begin());
    is_there[place] = true;
    indices.insert(camera.index);
    const int at = first_register_of_camera(place);
    set_register(at, number_of(camera.state));
    set_wide(at + 1, camera.answered);
    set_wide(at + 3, camera.unanswered);
    set_wide(at + 5, camera.overdue);
    // The rate over the last two seconds and more, so that one frame does not make it jump.
    const auto [entry, is_new] = answered_.try_emplace(camera.index, status.at, camera.answered);
    const Duration since = status.at - entry->second.first;
    if (since >= std::chrono::seconds(2)) {
      const double rate =
          static_cast<double>(camera.answered - entry->second.second) / to_seconds(since);
      set_register(at + 7, std::llround(std::min(rate * 10, 65'534.0)));
      entry->second = {status.at, camera.answered};
    }
    if (camera.fidelity) set_register(at + 8, std::llround(*camera.fidelity * 1000));
  }
  for (std::size_t i = 0; i < is_there.size(); ++i) {
    if (is_there[i]) continue;
    const int at = first_register_of_camera(i);
    set_register(at, static_cast<std::int64_t>(RegisterMap::CameraNumber::kRemoved));
    set_register(at + 7, 0);
    set_register(at + 8, RegisterMap::kUnknown);
  }
  std::erase_if(answered_, [&](const auto& one) { return !indices.contains(one.first); });
  for (const RunStatus::Rule& one : status.rules) {
    set_rule({one.camera_id, one.id}, {!one.is_open          ? AlarmState::kCleared
                                       : one.is_acknowledged ? AlarmState::kAcknowledged
                                                             : AlarmState::kRaised,
                                       one.severity});
    const std::optional<std::size_t> rule = options_.map.find_rule(one.camera_id, one.id);
    if (!rule) continue;
    const int at = RegisterMap::kFirstRule + RegisterMap::kRuleRegisters * static_cast<int>(*rule);
    set_wide(at + 2, one.events);
    set_wide(at + 4, std::llround(std::min(one.value * 100, 4e9)));
  }
  set_register(RegisterMap::kDeviceBusy, status.device_busy
                                             ? std::llround(*status.device_busy * 1000)
                                             : RegisterMap::kUnknown);
  sum_up();
  return {};
}

bool ModbusSink::serve(std::size_t place) {
  Server::Client& client = server_->clients[place];
  const ssize_t length = ::recv(client.fd, client.bytes.data() + client.size,
                                client.bytes.size() - client.size, MSG_DONTWAIT);
  if (length < 0) return errno == EAGAIN || errno == EINTR;
  if (length == 0) return false;
  client.size += static_cast<std::size_t>(length);
  const auto now = std::chrono::steady_clock::now();
  std::span<const std::uint8_t> left(client.bytes.data(), client.size);
  while (left.size() >= kHeadBytes) {
    const std::size_t bytes = kHeadBytes + left[4] * std::size_t{256} + left[5];
    if (left[2] != 0 || left[3] != 0 || bytes < kHeadBytes + kUnitBytes + 1 ||
        bytes > MODBUS_TCP_MAX_ADU_LENGTH)
      return false;  // not Modbus
    if (left.size() < bytes) break;
    {
      const MutexLock lock(mu_);
      if (!server_->answer(client, left.first(bytes))) return false;
    }
    client.heard_at = now;
    client.torn_at.reset();
    left = left.subspan(bytes);
  }
  std::ranges::copy(left, client.bytes.begin());
  client.size = left.size();
  if (!left.empty() && !client.torn_at) client.torn_at = now;
  return true;
}

void ModbusSink::run() {
  name_this_thread("serve", name());
  Server& server = *server_;
  const auto began = std::chrono::steady_clock::now();
  while (!is_stopping_) {
    std::vector<pollfd> fds{{server.listener, POLLIN, 0}};
    for (const Server::Client& client : server.clients) fds.push_back({client.fd, POLLIN, 0});
    ::poll(fds.data(), fds.size(), kTickMs);
    const auto now = std::chrono::steady_clock::now();
    const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(now - began).count();
    {
      const MutexLock lock(mu_);
      set_register(RegisterMap::kHeartbeat, seconds);
      set_bit(RegisterMap::kHeartbeatBit, seconds % 2 == 1);
    }
    for (std::size_t i = 0; i < server.clients.size(); ++i) {
      Server::Client& client = server.clients[i];
      bool is_kept =
          now - client.heard_at < kIdleMax && (!client.torn_at || now - *client.torn_at < kTornMax);
      if ((fds[i + 1].revents & (POLLIN | POLLHUP | POLLERR)) != 0) is_kept = serve(i) && is_kept;
      if (is_kept) continue;
      ::close(client.fd);
      client.fd = -1;
    }
    std::erase_if(server.clients, [](const Server::Client& client) { return client.fd < 0; });
    if ((fds[0].revents & POLLIN) != 0) {
      const int fd = ::accept4(server.listener, nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK);
      if (fd >= 0 && server.clients.size() >= kClientsMax)
        ::close(fd);
      else if (fd >= 0)
        server.clients.push_back({.fd = fd, .heard_at = now, .torn_at = {}});
    }
  }
}

}  // namespace framemill
