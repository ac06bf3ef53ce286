#include "features/criu_message.hpp"

#include <sched.h>

#include <catch2/catch.hpp>
#include <map>
#include <protozero/pbf_reader.hpp>
#include <protozero/pbf_writer.hpp>

#include "tare/error.hpp"

namespace tare::criu {
namespace {

// What a message holds, each field as it would be printed, several ones with ';' between.
using Fields = std::map<unsigned, std::string>;

// Of the messages within a message, those whose fields are two: a text, and a text or number.
std::string pair_text(protozero::pbf_reader in) {
  std::string text;
  while (in.next()) {
    if (!text.empty() || in.tag() == 2) text += '=';
    text += in.wire_type() == protozero::pbf_wire_type::varint ? std::to_string(in.get_int64())
                                                               : in.get_string();
  }
  return text;
}

bool is_pair(unsigned tag) {
  return tag == 11 || tag == 23 || tag == 25 || tag == 27 || tag == 39;
}

Fields fields_of(protozero::pbf_reader in) {
  Fields fields;
  while (in.next()) {
    std::string& field = fields[in.tag()];
    if (!field.empty()) field += ';';
    if (in.wire_type() == protozero::pbf_wire_type::varint) {
      field += std::to_string(in.get_int64());
    } else {
      field += is_pair(in.tag()) ? pair_text(in.get_message()) : in.get_string();
    }
  }
  return fields;
}

Fields options_of(const std::string& request) {
  protozero::pbf_reader in(request);
  REQUIRE(in.next(2));
  return fields_of(in.get_message());
}

std::string response(bool success, const std::function<void(protozero::pbf_writer&)>& more) {
  std::string bytes;
  protozero::pbf_writer out(bytes);
  out.add_enum(1, 6);
  out.add_bool(2, success);
  more(out);
  return bytes;
}

}  // namespace

TEST_CASE("criu message: a request says nothing of what was not asked for", "[criu]") {
  const std::string request =
      encode(RequestType::dump, {.images_directory = 7, .log_file = "dump.log", .pid = 42});
  CHECK(fields_of(protozero::pbf_reader(request)).at(1) == "1");
  CHECK(options_of(request) == Fields{{1, "7"},
                                      {2, "42"},
                                      {9, "4"},
                                      {10, "dump.log"},
                                      {12, "1"},
                                      {24, "1"},
                                      {34, "6"},
                                      {50, "1"}});
}

TEST_CASE("criu message: every option goes into the field that criu has for it", "[criu]") {
  const std::string request =
      encode(RequestType::restore, {.images_directory = 3,
                                    .work_directory = 4,
                                    .root = "/run/x/criu/root",
                                    .leave_running = true,
                                    .tcp_established = true,
                                    .tcp_close = true,
                                    .tcp_skip_in_flight = true,
                                    .external_unix_sockets = true,
                                    .shell_job = true,
                                    .file_locks = true,
                                    .link_remap = true,
                                    .track_memory = true,
                                    .auto_dedup = true,
                                    .lazy_pages = true,
                                    .evasive_devices = true,
                                    .sibling = true,
                                    .parent_images = "../one",
                                    .page_server_address = "::1",
                                    .page_server_port = 27277,
                                    .freeze_cgroup = "/sys/fs/cgroup/a",
                                    .cgroup_root = "/a",
                                    .cgroup_mode = CgroupMode::ignore,
                                    .network_lock = NetworkLock::skip,
                                    .empty_namespaces = CLONE_NEWNET,
                                    .external = {"net[4]:extRootNetNS", "pid[5]:extRootPidNS"},
                                    .external_mounts = {{"/a", "/b"}, {"/c", "/d"}},
                                    .joined_namespaces = {{"ipc", "/proc/7/ns/ipc"}},
                                    .inherited = {{"pipe:[9]", 1}, {"extRootNetNS", 12}},
                                    .config_file = "/etc/criu/tare.conf",
                                    .lsm_profile = "apparmor:web",
                                    .lsm_mount_context = "ctx"});
  CHECK(options_of(request) == Fields{{1, "3"},
                                      {3, "1"},
                                      {4, "1"},
                                      {5, "1"},
                                      {6, "1"},
                                      {7, "1"},
                                      {8, "1"},
                                      {9, "4"},
                                      {11, "::1=27277"},
                                      {12, "1"},
                                      {13, "/run/x/criu/root"},
                                      {14, "../one"},
                                      {15, "1"},
                                      {16, "1"},
                                      {17, "4"},
                                      {18, "1"},
                                      {23, "/a=/b;/c=/d"},
                                      {24, "1"},
                                      {25, "=/a"},
                                      {26, "1"},
                                      {27, "pipe:[9]=1;extRootNetNS=12"},
                                      {34, "0"},
                                      {37, "net[4]:extRootNetNS;pid[5]:extRootPidNS"},
                                      {38, "1073741824"},
                                      {39, "ipc=/proc/7/ns/ipc"},
                                      {44, "/sys/fs/cgroup/a"},
                                      {46, "1"},
                                      {48, "1"},
                                      {50, "1"},
                                      {51, "/etc/criu/tare.conf"},
                                      {52, "1"},
                                      {53, "apparmor:web"},
                                      {63, "ctx"},
                                      {64, "3"}});
}

TEST_CASE("criu message: a question leaves criu waiting for the next request", "[criu]") {
  CHECK(fields_of(protozero::pbf_reader(encode_version_question())) == Fields{{1, "10"}, {4, "1"}});
  const std::string question = encode_feature_question();
  protozero::pbf_reader in(question);
  REQUIRE(in.next(4));
  CHECK(in.get_bool());
}

TEST_CASE("criu message: a notification is answered with whether to go on", "[criu]") {
  CHECK(fields_of(protozero::pbf_reader(encode_notified(true))) == Fields{{1, "6"}, {3, "1"}});
  CHECK(fields_of(protozero::pbf_reader(encode_notified(false))) == Fields{{1, "6"}, {3, "0"}});
}

TEST_CASE("criu message: the parts of an answer are found", "[criu]") {
  const Response notification = decode(response(true, [](protozero::pbf_writer& out) {
    protozero::pbf_writer part(out, 5);
    part.add_string(1, "post-restore");
    part.add_int32(2, 77);
  }));
  CHECK(notification.type == RequestType::notify);
  CHECK(notification.success);
  CHECK(notification.script == "post-restore");
  CHECK(notification.pid == 77);

  const Response version = decode(response(true, [](protozero::pbf_writer& out) {
    protozero::pbf_writer part(out, 10);
    part.add_int32(1, 3);
    part.add_int32(2, 17);
    part.add_string(3, "v3.17.1");
    part.add_int32(4, 1);
  }));
  CHECK(version.version == 31'701);

  const Response features = decode(response(true, [](protozero::pbf_writer& out) {
    protozero::pbf_writer part(out, 8);
    part.add_bool(1, true);
    part.add_bool(2, false);
    part.add_bool(3, true);
  }));
  CHECK(features.features.memory_tracking);
  CHECK_FALSE(features.features.lazy_pages);

  const Response failed = decode(response(false, [](protozero::pbf_writer& out) {
    out.add_int32(7, 17);
    out.add_string(9, "why");
    out.add_string(200, "what a later criu may say");
  }));
  CHECK_FALSE(failed.success);
  CHECK(failed.error_number == 17);

  const Response restored = decode(response(true, [](protozero::pbf_writer& out) {
    protozero::pbf_writer part(out, 4);
    part.add_int32(1, 4242);
  }));
  CHECK(restored.pid == 4242);
}

TEST_CASE("criu message: what is no message is an error, wherever it is cut", "[criu]") {
  const std::string whole = response(true, [](protozero::pbf_writer& out) {
    protozero::pbf_writer part(out, 5);
    part.add_string(1, "post-dump");
  });
  CHECK_THROWS_AS(decode(whole.substr(0, whole.size() - 3)), Error);
  CHECK_THROWS_AS(decode("\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff"), Error);
}

}  // namespace tare::criu
