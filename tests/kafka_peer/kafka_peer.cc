// A Kafka cluster for tests, since Debian packages none: librdkafka's mock cluster, which speaks
// the real protocol on real sockets, in a process of its own, with a consumer that says what
// arrived.
//
//   kafka_peer BROKERS TOPIC...
//
// stdout: the bootstrap servers; then a JSON line for each message: topic, partition, offset, key,
// the header `idempotency-key`, and the value as it is (the messages of the tests are JSON).
// stdin, a command a line: `down`, `up` (all brokers), `error TOPIC CODE` (what is said of the
// topic when it is asked for, a Kafka error code; 0: none), `refuse COUNT CODE` (the answer to the
// next COUNT produce requests). Ends with stdin.
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <iostream>
#include <memory>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

#include <fmt/format.h>
#include <librdkafka/rdkafka.h>
#include <librdkafka/rdkafka_mock.h>

namespace {

constexpr int kPartitions = 4;

struct Destroy {
  void operator()(rd_kafka_t* handle) const { rd_kafka_destroy(handle); }
  void operator()(rd_kafka_mock_cluster_t* cluster) const {
    rd_kafka_mock_cluster_destroy(cluster);
  }
  void operator()(rd_kafka_message_t* message) const { rd_kafka_message_destroy(message); }
  void operator()(rd_kafka_topic_partition_list_t* list) const {
    rd_kafka_topic_partition_list_destroy(list);
  }
};
using Handle = std::unique_ptr<rd_kafka_t, Destroy>;
using Cluster = std::unique_ptr<rd_kafka_mock_cluster_t, Destroy>;

Handle make(rd_kafka_type_t type,
            std::initializer_list<std::pair<const char*, std::string>> properties) {
  rd_kafka_conf_t* const conf = rd_kafka_conf_new();
  char why[512] = "";
  for (const auto& [property, value] : properties)
    if (rd_kafka_conf_set(conf, property, value.c_str(), why, sizeof why) != RD_KAFKA_CONF_OK) {
      fmt::print(stderr, "kafka_peer: {}\n", why);
      std::exit(2);
    }
  rd_kafka_conf_set_log_cb(conf, nullptr);
  Handle handle(rd_kafka_new(type, conf, why, sizeof why));
  if (!handle) {
    fmt::print(stderr, "kafka_peer: {}\n", why);
    std::exit(2);
  }
  return handle;
}

std::string text_of(const void* bytes, std::size_t length) {
  return bytes == nullptr ? std::string() : std::string(static_cast<const char*>(bytes), length);
}

void print_message(rd_kafka_message_t& message) {
  rd_kafka_headers_t* headers = nullptr;
  const void* id = nullptr;
  std::size_t id_length = 0;
  if (rd_kafka_message_headers(&message, &headers) == RD_KAFKA_RESP_ERR_NO_ERROR)
    rd_kafka_header_get_last(headers, "idempotency-key", &id, &id_length);
  fmt::print(R"({{"topic":"{}","partition":{},"offset":{},"key":"{}","id":"{}","value":{}}})"
             "\n",
             rd_kafka_topic_name(message.rkt), message.partition, message.offset,
             text_of(message.key, message.key_len), text_of(id, id_length),
             text_of(message.payload, message.len));
}

void consume(const std::string& brokers, int topics, char** names,
             const std::atomic<bool>& is_over) {
  const Handle consumer = make(RD_KAFKA_CONSUMER, {{"bootstrap.servers", brokers},
                                                   {"group.id", "peer"},
                                                   {"enable.auto.commit", "false"},
                                                   {"auto.offset.reset", "earliest"},
                                                   {"check.crcs", "true"},
                                                   {"reconnect.backoff.max.ms", "200"},
                                                   {"fetch.wait.max.ms", "20"}});
  rd_kafka_poll_set_consumer(consumer.get());
  const std::unique_ptr<rd_kafka_topic_partition_list_t, Destroy> all(
      rd_kafka_topic_partition_list_new(topics * kPartitions));
  for (int topic = 0; topic < topics; ++topic)
    for (int partition = 0; partition < kPartitions; ++partition)
      rd_kafka_topic_partition_list_add(all.get(), names[topic], partition)->offset =
          RD_KAFKA_OFFSET_BEGINNING;
  rd_kafka_assign(consumer.get(), all.get());
  bool has_news = false;
  while (!is_over) {
    const std::unique_ptr<rd_kafka_message_t, Destroy> message(
        rd_kafka_consumer_poll(consumer.get(), has_news ? 0 : 50));
    if (message && message->err == RD_KAFKA_RESP_ERR_NO_ERROR) {
      print_message(*message);
      has_news = true;
    } else if (!message) {
      std::fflush(stdout);
      has_news = false;
    }
  }
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 3) {
    fmt::print(stderr, "usage: kafka_peer BROKERS TOPIC...\n");
    return 2;
  }
  const int brokers = std::atoi(argv[1]);
  const Handle host = make(RD_KAFKA_PRODUCER, {});
  const Cluster cluster(rd_kafka_mock_cluster_new(host.get(), brokers));
  for (int i = 2; i < argc; ++i)
    rd_kafka_mock_topic_create(cluster.get(), argv[i], kPartitions, std::min(brokers, 3));
  const std::string bootstrap = rd_kafka_mock_cluster_bootstraps(cluster.get());
  fmt::print("{}\n", bootstrap);
  std::fflush(stdout);
  std::atomic<bool> is_over{false};
  std::thread consumer([&] { consume(bootstrap, argc - 2, argv + 2, is_over); });
  for (std::string line; std::getline(std::cin, line);) {
    std::istringstream words(line);
    std::string command, what;
    int code = 0;
    words >> command >> what >> code;
    if (command == "refuse") {
      constexpr std::int16_t kProduce = 0;
      const std::vector<rd_kafka_resp_err_t> errors(std::stoul(what),
                                                    static_cast<rd_kafka_resp_err_t>(code));
      rd_kafka_mock_push_request_errors_array(cluster.get(), kProduce, errors.size(),
                                              errors.data());
    }
    if (command == "error") {
      rd_kafka_mock_topic_set_error(cluster.get(), what.c_str(),
                                    static_cast<rd_kafka_resp_err_t>(code));
      continue;
    }
    for (int broker = 1; broker <= brokers; ++broker) {
      if (command == "down") rd_kafka_mock_broker_set_down(cluster.get(), broker);
      if (command == "up") rd_kafka_mock_broker_set_up(cluster.get(), broker);
    }
  }
  is_over = true;
  consumer.join();
  return 0;
}
