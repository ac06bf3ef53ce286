#include "features/cgroup_devices.hpp"

#include <fmt/core.h>
#include <linux/bpf.h>

#include <map>
#include <set>

namespace tare::cgroup_devices {
namespace {

constexpr spec::Word<char> kTypes[] = {{"", 'a'}, {"a", 'a'}, {"b", 'b'}, {"c", 'c'}};

// What runc appends to every list, so that no config can do without it: nodes of any device may be
// made (but not opened), the devices of config-linux.md, "Default Devices", and pseudoterminals may
// be used. /dev/console has no rule of its own: it is a pseudoterminal's slave, bound.
constexpr std::uint32_t kMemory = 1;
constexpr std::uint32_t kTerminals = 5;
constexpr std::uint32_t kPseudoterminals = 136;

std::vector<Rule> default_rules() {
  std::vector<Rule> rules = {
      {.allow = true, .type = 'c', .mknod = true},
      {.allow = true, .type = 'b', .mknod = true},
  };
  const auto add = [&rules](std::uint32_t major, std::optional<std::uint32_t> minor) {
    rules.push_back({.allow = true,
                     .type = 'c',
                     .major = major,
                     .minor = minor,
                     .read = true,
                     .write = true,
                     .mknod = true});
  };
  for (const std::uint32_t minor : {3U, 5U, 7U, 8U, 9U})
    add(kMemory, minor);  // null zero full *random
  add(kTerminals, 0);     // tty
  add(kTerminals, 2);     // ptmx
  add(kPseudoterminals, std::nullopt);
  return rules;
}

// A number, or any where it is absent or -1, as Docker writes "*".
std::optional<std::uint32_t> read_number(const spec::Reader& device, std::string_view key) {
  const std::optional<spec::Reader> member = device.find(key);
  if (!member) return std::nullopt;
  const auto number = member->integer<std::int64_t>(-1, UINT32_MAX);
  if (number == -1) return std::nullopt;
  return static_cast<std::uint32_t>(number);
}

void read_access(const spec::Reader& device, Rule& rule) {
  const spec::Reader access = device.at("access");
  const std::string letters = access.string();
  if (letters.empty()) throw access.error("access must not be empty");
  for (const char letter : letters) {
    switch (letter) {
      case 'r':
        rule.read = true;
        break;
      case 'w':
        rule.write = true;
        break;
      case 'm':
        rule.mknod = true;
        break;
      default:
        throw access.error(fmt::format("unknown device access '{}'", letter));
    }
  }
}

Rule read_rule(const spec::Reader& device) {
  Rule rule;
  rule.allow = device.at("allow").boolean();
  if (const std::optional<spec::Reader> type = device.find("type")) {
    rule.type = type->one_of("device type", kTypes);
  }
  rule.major = read_number(device, "major");
  rule.minor = read_number(device, "minor");
  read_access(device, rule);
  return rule;
}

std::int32_t access_bits(const Rule& rule) noexcept {
  return (rule.read ? BPF_DEVCG_ACC_READ : 0) | (rule.write ? BPF_DEVCG_ACC_WRITE : 0) |
         (rule.mknod ? BPF_DEVCG_ACC_MKNOD : 0);
}

constexpr std::int32_t kAnyAccess = BPF_DEVCG_ACC_READ | BPF_DEVCG_ACC_WRITE | BPF_DEVCG_ACC_MKNOD;

using Program = std::vector<sys::BpfInstruction>;

enum Register : std::uint8_t { kResult, kContext, kType, kAccess, kMajor, kMinor };

void add(Program& program, unsigned code, Register to, std::int16_t offset,
         std::int32_t immediate) {
  sys::BpfInstruction instruction{
      .code = static_cast<std::uint8_t>(code), .offset = offset, .immediate = immediate};
  instruction.destination = to & 0xF;
  program.push_back(instruction);
}

void load_word(Program& program, Register to, std::int16_t offset) {
  add(program, BPF_LDX | BPF_MEM | BPF_W, to, offset, 0);
  program.back().source = kContext;
}

void alu(Program& program, unsigned operation, Register to, std::int32_t value) {
  add(program, BPF_ALU | BPF_K | operation, to, 0, value);
}

// A comparison of 32 bits: the 64-bit one extends the sign of its constant, and a major number with
// its highest bit set would equal nothing.
void jump(Program& program, unsigned comparison, Register left, std::int32_t value,
          std::int16_t over = 0) {
  add(program, BPF_JMP32 | BPF_K | comparison, left, over, value);
}

void leave(Program& program, bool allow) {
  alu(program, BPF_MOV, kResult, allow ? 1 : 0);
  program.push_back({.code = BPF_JMP | BPF_EXIT});
}

// struct bpf_cgroup_dev_ctx (linux/bpf.h): access << 16 | type, major, minor.
void prologue(Program& program) {
  load_word(program, kType, 0);
  alu(program, BPF_AND, kType, 0xFFFF);
  load_word(program, kAccess, 0);
  alu(program, BPF_RSH, kAccess, 16);
  load_word(program, kMajor, 4);
  load_word(program, kMinor, 8);
}

// A kind of device: numbers that rules name, or, where they are absent, all that none names.
struct Device {
  char type;
  std::optional<std::uint32_t> major{};
  std::optional<std::uint32_t> minor{};
};

bool names_major(const Rule& rule, const Device& device) {
  return (rule.type == 'a' || rule.type == device.type) &&
         (!rule.major || rule.major == device.major);
}

// Of each kind of access the last rule decides that speaks of it.
std::int32_t allowed_of(const std::vector<Rule>& rules, const Device& device) {
  std::int32_t allowed = 0;
  for (const Rule& rule : rules) {
    if (!names_major(rule, device) || (rule.minor && rule.minor != device.minor)) continue;
    allowed = rule.allow ? allowed | access_bits(rule) : allowed & ~access_bits(rule);
  }
  return allowed;
}

void finish(Program& program, std::int32_t allowed) {
  if (allowed != 0 && allowed != kAnyAccess) {
    jump(program, BPF_JSET, kAccess, kAnyAccess & ~allowed, 2);
    leave(program, true);
  }
  leave(program, allowed == kAnyAccess);
}

// Has the jumps from `first` up to `last` lead to where the program ends now.
void land_here(Program& program, std::size_t first, std::size_t last) {
  for (std::size_t at = first; at < last; ++at) {
    const std::size_t over = program.size() - at - 1;
    if (over > INT16_MAX) throw Error(ErrorKind::unsupported, "too many device rules");
    program[at].offset = static_cast<std::int16_t>(over);
  }
}

// Minor numbers that are allowed the same share one end.
void decide_minor(Program& program, const std::vector<Rule>& rules, Device device) {
  const std::int32_t usual = allowed_of(rules, device);
  std::map<std::int32_t, std::set<std::uint32_t>> unusual;
  for (const Rule& rule : rules) {
    if (!rule.minor || !names_major(rule, device)) continue;
    device.minor = rule.minor;
    const std::int32_t allowed = allowed_of(rules, device);
    if (allowed != usual) unusual[allowed].insert(*rule.minor);
  }
  for (const auto& [allowed, minors] : unusual) {
    const std::size_t start = program.size();
    for (const std::uint32_t minor : minors) {
      jump(program, BPF_JEQ, kMinor, static_cast<std::int32_t>(minor));
    }
    const std::size_t last = program.size() - 1;
    program[last].code = BPF_JMP32 | BPF_K | BPF_JNE;
    land_here(program, start, last);
    finish(program, allowed);
    land_here(program, last, last + 1);
  }
  finish(program, usual);
}

void decide_major(Program& program, const std::vector<Rule>& rules, char type) {
  std::set<std::uint32_t> majors;
  for (const Rule& rule : rules) {
    if (rule.major && (rule.type == 'a' || rule.type == type)) majors.insert(*rule.major);
  }
  Program usual;
  decide_minor(usual, rules, {.type = type});
  for (const std::uint32_t major : majors) {
    Program own;
    decide_minor(own, rules, {.type = type, .major = major});
    if (own == usual) continue;
    const std::size_t start = program.size();
    jump(program, BPF_JNE, kMajor, static_cast<std::int32_t>(major));
    program.insert(program.end(), own.begin(), own.end());
    land_here(program, start, start + 1);
  }
  program.insert(program.end(), usual.begin(), usual.end());
}

std::string shown(const Rule& rule) {
  const auto number = [](const std::optional<std::uint32_t>& value) {
    return value ? std::to_string(*value) : std::string("*");
  };
  return fmt::format("{} {} {}:{} {}{}{}", rule.allow ? "allow" : "deny", rule.type,
                     number(rule.major), number(rule.minor), rule.read ? "r" : "",
                     rule.write ? "w" : "", rule.mknod ? "m" : "");
}

}  // namespace

Spec read(const spec::Reader& linux_object) {
  const std::optional<spec::Reader> resources = linux_object.find("resources");
  return resources ? read_resources(*resources) : Spec{};
}

Spec read_resources(const spec::Reader& resources) {
  Spec spec;
  const std::optional<spec::Reader> devices = resources.find("devices");
  if (!devices) return spec;
  for (const spec::Reader& device : devices->items()) spec.rules.push_back(read_rule(device));
  return spec;
}

Plan plan(const Spec& spec, const Host& host) {
  // bpf(2) is for root of the initial user namespace, and nobody else can open or make a device
  // node that the host does not let them anyway.
  if (host.rootless) return {};
  Plan plan{.rules = spec.rules};
  for (const Rule& rule : default_rules()) plan.rules.push_back(rule);
  return plan;
}

// The type, then the major number, then the minor one: no register is tested for what an earlier
// test has told, so the verifier goes through every instruction once. A test rule by rule is as
// short, but the verifier then follows every combination of them, which took it 0.4 ms for the
// default rules, as much as the network namespace.
std::vector<sys::BpfInstruction> compile(const std::vector<Rule>& rules) {
  Program program;
  prologue(program);
  const std::size_t start = program.size();
  jump(program, BPF_JNE, kType, BPF_DEVCG_DEV_CHAR);
  decide_major(program, rules, 'c');
  land_here(program, start, start + 1);
  decide_major(program, rules, 'b');
  return program;
}

void apply_in_parent(const Plan& plan, sys::FdRef cgroup_directory) {
  if (plan.rules.empty()) return;
  in_context(
      [] { return std::string("restrict the container's devices (linux.resources.devices)"); },
      [&] {
        const sys::Fd program = sys::load_device_program(compile(plan.rules));
        sys::attach_device_program(cgroup_directory, program);
      });
}

void replace_in_parent(const Plan& plan, sys::FdRef cgroup_directory) {
  in_context(
      [] { return std::string("replace the container's device rules (linux.resources.devices)"); },
      [&] {
        if (plan.rules.empty()) {
          throw Error(ErrorKind::unsupported, "the caller is rootless and may load no program");
        }
        const std::vector<sys::Fd> programs = sys::attached_device_programs(cgroup_directory);
        if (programs.size() != 1) {
          throw Error(ErrorKind::unsupported,
                      fmt::format("{} programs of this runtime are on the container's cgroup, "
                                  "expected 1",
                                  programs.size()),
                      "the container was made by another version, or something else has replaced "
                      "its device filter");
        }
        const sys::Fd program = sys::load_device_program(compile(plan.rules));
        sys::replace_device_program(cgroup_directory, programs[0], program);
      });
}

void explain(const Plan& plan, Explain& out) {
  if (plan.rules.empty()) {
    out.add("cgroup_devices", "no device rules: rootless, the host's permissions decide");
    return;
  }
  const std::size_t defaults = default_rules().size();
  std::string text = "every device is denied but by these rules, the last that matches deciding: ";
  for (std::size_t i = 0; i < plan.rules.size(); ++i) {
    if (i > 0) text += ", ";
    text += shown(plan.rules[i]);
  }
  out.add("cgroup_devices", text, plan.rules.size() > defaults ? "/linux/resources/devices" : "");
}

}  // namespace tare::cgroup_devices
