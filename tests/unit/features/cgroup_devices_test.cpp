#include "features/cgroup_devices.hpp"

#include <linux/bpf.h>

#include <catch2/catch.hpp>
#include <random>

namespace tare::cgroup_devices {
namespace {

constexpr unsigned kMknod = BPF_DEVCG_ACC_MKNOD;
constexpr unsigned kRead = BPF_DEVCG_ACC_READ;
constexpr unsigned kWrite = BPF_DEVCG_ACC_WRITE;

struct Request {
  char type = 'c';
  std::uint32_t major = 0;
  std::uint32_t minor = 0;
  unsigned access = 0;
};

// As much of the kernel's BPF machine as device programs use. Throws for anything else, for a jump
// out of the program and for one backwards, so a test also shows what the verifier wants.
class Machine {
 public:
  explicit Machine(const std::vector<sys::BpfInstruction>& program) : program_(program) {}

  bool allows(const Request& request) {
    const unsigned type = request.type == 'b' ? BPF_DEVCG_DEV_BLOCK : BPF_DEVCG_DEV_CHAR;
    context_ = {(request.access << 16) | type, request.major, request.minor};
    registers_.fill(0xDEADBEEFDEADBEEF);
    for (std::size_t at = 0;;) {
      const sys::BpfInstruction& now = program_.at(at);
      if (now.code == (BPF_JMP | BPF_EXIT)) return registers_[0] != 0;
      if (now.offset < 0) throw std::logic_error("a jump backwards");
      at += 1 + (step(now) ? static_cast<std::size_t>(now.offset) : 0);
    }
  }

 private:
  // True when the instruction jumps.
  bool step(const sys::BpfInstruction& now) {
    std::uint64_t& target = registers_.at(now.destination);
    const auto constant = static_cast<std::uint32_t>(now.immediate);
    const auto word = static_cast<std::uint32_t>(target);
    switch (now.code) {
      case BPF_LDX | BPF_MEM | BPF_W:
        if (now.source != 1) throw std::logic_error("a load from elsewhere than the context");
        target = context_.at(static_cast<std::size_t>(now.offset) / 4);
        return false;
      case BPF_ALU | BPF_AND | BPF_K:
        target = word & constant;
        return false;
      case BPF_ALU | BPF_RSH | BPF_K:
        target = word >> constant;
        return false;
      case BPF_ALU | BPF_MOV | BPF_K:
        target = constant;
        return false;
      case BPF_JMP32 | BPF_JEQ | BPF_K:
        return word == constant;
      case BPF_JMP32 | BPF_JNE | BPF_K:
        return word != constant;
      case BPF_JMP32 | BPF_JSET | BPF_K:
        return (word & constant) != 0;
      default:
        throw std::logic_error("an instruction that no device program needs");
    }
  }

  const std::vector<sys::BpfInstruction>& program_;
  std::array<std::uint32_t, 3> context_{};
  std::array<std::uint64_t, 11> registers_{};
};

bool program_allows(const std::vector<Rule>& rules, const Request& request) {
  const std::vector<sys::BpfInstruction> program = compile(rules);
  return Machine(program).allows(request);
}

unsigned bits(const Rule& rule) {
  return (rule.read ? kRead : 0) | (rule.write ? kWrite : 0) | (rule.mknod ? kMknod : 0);
}

bool is_for(const Rule& rule, const Request& request) {
  return (rule.type == 'a' || rule.type == request.type) &&
         rule.major.value_or(request.major) == request.major &&
         rule.minor.value_or(request.minor) == request.minor;
}

// The rules as a person reads them: for each kind of access by itself, the last rule that speaks of
// it decides, and where none does it is denied.
bool rules_allow(const std::vector<Rule>& rules, const Request& request) {
  for (const unsigned access : {kMknod, kRead, kWrite}) {
    if ((request.access & access) == 0) continue;
    bool allowed = false;
    for (const Rule& rule : rules) {
      if (is_for(rule, request) && (bits(rule) & access) != 0) allowed = rule.allow;
    }
    if (!allowed) return false;
  }
  return true;
}

std::vector<Rule> read_text(const std::string& devices) {
  const spec::Document document("config.json",
                                R"({"linux": {"resources": {"devices": )" + devices + "}}}");
  return read(document.top().at("linux")).rules;
}

std::string read_error(const std::string& devices) {
  try {
    read_text(devices);
  } catch (const Error& error) {
    CHECK(error.kind() == ErrorKind::spec);
    return error.message();
  }
  return "nothing was wrong";
}

std::vector<Rule> planned(const std::string& devices) {
  return plan({.rules = read_text(devices)}, {}).rules;
}

Rule allow(char type, std::optional<std::uint32_t> major, std::optional<std::uint32_t> minor,
           unsigned access) {
  return {.allow = true,
          .type = type,
          .major = major,
          .minor = minor,
          .read = (access & kRead) != 0,
          .write = (access & kWrite) != 0,
          .mknod = (access & kMknod) != 0};
}

Rule deny(char type, std::optional<std::uint32_t> major, std::optional<std::uint32_t> minor,
          unsigned access) {
  Rule rule = allow(type, major, minor, access);
  rule.allow = false;
  return rule;
}

constexpr unsigned kAll = kRead | kWrite | kMknod;

TEST_CASE("rules are read with every default", "[cgroup_devices]") {
  CHECK(read_text(R"([{"allow": false, "access": "rwm"},
                      {"allow": true, "type": "c", "major": 10, "minor": 229, "access": "rw"},
                      {"allow": true, "type": "b", "major": -1, "minor": 3, "access": "m"},
                      {"allow": true, "type": "", "major": null, "access": "r"}])") ==
        std::vector<Rule>{deny('a', {}, {}, kAll), allow('c', 10, 229, kRead | kWrite),
                          allow('b', {}, 3, kMknod), allow('a', {}, {}, kRead)});
}

TEST_CASE("no resources and no devices are no rules", "[cgroup_devices]") {
  const spec::Document nothing("config.json", R"({"a": {}, "b": {"resources": {}}})");
  CHECK(read(nothing.top().at("a")).rules.empty());
  CHECK(read(nothing.top().at("b")).rules.empty());
  CHECK(read_text("null").empty());
}

TEST_CASE("bad rules are refused with their place", "[cgroup_devices]") {
  CHECK(read_error(R"([{"allow": true, "access": ""}])") ==
        "config.json /linux/resources/devices/0/access: access must not be empty");
  CHECK(read_error(R"([{"allow": true, "access": "rwx"}])") ==
        "config.json /linux/resources/devices/0/access: unknown device access 'x'");
  CHECK(read_error(R"([{"allow": true, "access": "r", "type": "p"}])") ==
        "config.json /linux/resources/devices/0/type: unknown device type \"p\"");
  CHECK(read_error(R"([{"access": "r"}])").find("required") != std::string::npos);
  CHECK(read_error(R"([{"allow": true}])").find("required") != std::string::npos);
  CHECK(read_error(R"([{"allow": true, "access": "r", "major": -2}])").find("not within") !=
        std::string::npos);
  CHECK(read_error(R"([{"allow": true, "access": "r", "minor": 4294967296}])").find("not within") !=
        std::string::npos);
}

TEST_CASE("an empty list denies everything but the defaults (GHSA-g54h-m393-cpwq)",
          "[cgroup_devices]") {
  for (const char* devices : {"[]", R"([{"allow": true, "type": "c", "major": 10, "minor": 229,
                                         "access": "rwm"}])"}) {
    const std::vector<Rule> rules = planned(devices);
    CHECK_FALSE(program_allows(rules, {'b', 8, 0, kRead}));
    CHECK_FALSE(program_allows(rules, {'c', 1, 1, kRead}));
    CHECK(program_allows(rules, {'b', 8, 0, kMknod}));
    CHECK(program_allows(rules, {'c', 1, 3, kAll}));
  }
}

TEST_CASE("the default devices of the specification can be used, whatever the rules say",
          "[cgroup_devices]") {
  const std::vector<Rule> rules = planned(R"([{"allow": false, "access": "rwm"}])");
  const std::pair<std::uint32_t, std::uint32_t> defaults[] = {
      {1, 3}, {1, 5}, {1, 7}, {1, 8}, {1, 9}, {5, 0}, {5, 2}, {136, 0}, {136, 4711}};
  for (const auto& [major, minor] : defaults) {
    CAPTURE(major, minor);
    CHECK(program_allows(rules, {'c', major, minor, kRead | kWrite}));
    CHECK_FALSE(program_allows(rules, {'b', major, minor, kRead}));
  }
}

TEST_CASE("only root of the first user namespace gets a program", "[cgroup_devices]") {
  const Spec spec{.rules = {allow('c', 1, 1, kRead)}};
  CHECK(plan(spec, {.rootless = true}) == Plan{});
  const Plan plan = cgroup_devices::plan(spec, {});
  CHECK(plan.rules.size() == 11);
  CHECK(plan.rules.front() == spec.rules.front());
  CHECK(plan.rules[1] == allow('c', {}, {}, kMknod));
}

TEST_CASE("the last rule that matches decides", "[cgroup_devices]") {
  const std::vector<Rule> rules = {allow('a', {}, {}, kAll), deny('c', 1, {}, kAll),
                                   allow('c', 1, 5, kRead)};
  CHECK(program_allows(rules, {'b', 8, 0, kAll}));
  CHECK_FALSE(program_allows(rules, {'c', 1, 1, kRead}));
  CHECK(program_allows(rules, {'c', 1, 5, kRead}));
  CHECK_FALSE(program_allows(rules, {'c', 1, 5, kWrite}));
}

TEST_CASE("opening for both needs both to be allowed, by one rule or by two", "[cgroup_devices]") {
  CHECK(program_allows({allow('c', 7, 7, kRead), allow('c', 7, 7, kWrite)},
                       {'c', 7, 7, kRead | kWrite}));
  CHECK_FALSE(program_allows({allow('c', 7, 7, kRead)}, {'c', 7, 7, kRead | kWrite}));
}

TEST_CASE("a denied write is not let through by reading at the same time", "[cgroup_devices]") {
  CHECK_FALSE(program_allows({allow('a', {}, {}, kAll), deny('c', 7, 7, kWrite)},
                             {'c', 7, 7, kRead | kWrite}));
}

TEST_CASE("a major number with its highest bit set is compared as it is", "[cgroup_devices]") {
  CHECK(program_allows({allow('c', 0xFFFFFFFF, 0x80000000, kRead)},
                       {'c', 0xFFFFFFFF, 0x80000000, kRead}));
  CHECK_FALSE(program_allows({allow('c', 0xFFFFFFFF, {}, kRead)}, {'c', 1, 0, kRead}));
}

TEST_CASE("no rules deny everything", "[cgroup_devices]") {
  CHECK_FALSE(program_allows({}, {'c', 1, 3, kRead}));
}

TEST_CASE("no instruction is out of reach, which the verifier would refuse", "[cgroup_devices]") {
  // Everything before a rule that decides all is dropped.
  CHECK(compile({allow('c', 1, 1, kRead), deny('a', {}, {}, kAll)}) == compile({}));
  CHECK(compile({deny('a', {}, {}, kAll), allow('c', 1, 1, kRead)}) ==
        compile({allow('c', 1, 1, kRead)}));
}

class Random {
 public:
  unsigned below(unsigned limit) {
    return std::uniform_int_distribution<unsigned>(0, limit - 1)(engine_);
  }
  // Small numbers, so that rules and requests meet.
  std::optional<std::uint32_t> number() {
    return below(3) == 0 ? std::nullopt : std::optional<std::uint32_t>(below(3));
  }
  Rule rule() {
    Rule rule = allow("abc"[below(3)], number(), number(), 1 + below(7));
    rule.allow = below(2) == 0;
    return rule;
  }

 private:
  std::mt19937 engine_{20260911};
};

TEST_CASE("the program and the rules agree on every request, for 2000 random lists",
          "[cgroup_devices]") {
  Random random;
  int allowed = 0;
  int denied = 0;
  for (int round = 0; round < 2000; ++round) {
    std::vector<Rule> rules(random.below(7));
    for (Rule& rule : rules) rule = random.rule();
    const std::vector<sys::BpfInstruction> program = compile(rules);
    Machine machine(program);
    for (unsigned i = 0; i < 2 * 3 * 3 * 7; ++i) {
      const Request request{i % 2 == 0 ? 'b' : 'c', i / 2 % 3, i / 6 % 3, 1 + i / 18 % 7};
      const bool expected = rules_allow(rules, request);
      ++(expected ? allowed : denied);
      if (machine.allows(request) != expected) {
        FAIL("round " << round << ": " << request.type << ' ' << request.major << ':'
                      << request.minor << " access " << request.access);
      }
    }
  }
  // Both answers must have been put to the test.
  CHECK(allowed > 20000);
  CHECK(denied > 20000);
}

TEST_CASE("the rules are explained in their order", "[cgroup_devices]") {
  Explain out;
  explain(plan({.rules = {allow('c', 10, {}, kRead | kWrite)}}, {}), out);
  explain(Plan{}, out);
  REQUIRE(out.effects().size() == 2);
  CHECK(out.effects()[0].text.find("deciding: allow c 10:* rw, allow c *:* m, allow b *:* m") !=
        std::string::npos);
  CHECK(out.effects()[0].field == "/linux/resources/devices");
  CHECK(out.effects()[1].text.find("rootless") != std::string::npos);
}

}  // namespace
}  // namespace tare::cgroup_devices
