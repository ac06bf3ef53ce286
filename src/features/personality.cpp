#include "features/personality.hpp"

#include <fmt/core.h>
#include <linux/personality.h>

#include <cerrno>

#include "sys/attributes.hpp"

namespace tare::personality {
namespace {

constexpr spec::Word<unsigned long> kDomains[] = {{"LINUX", PER_LINUX}, {"LINUX32", PER_LINUX32}};

unsigned long read_domain(const spec::Reader& field) {
  const std::string name = field.string();
  for (const auto& word : kDomains) {
    if (word.name == name) return word.value;
  }
  throw field.error(fmt::format("invalid personality domain \"{}\"", name));
}

}  // namespace

Plan read(const spec::Reader& linux_object) {
  const std::optional<spec::Reader> field = linux_object.find("personality");
  if (!field) return {};
  if (const std::optional<spec::Reader> flags = field->find("flags")) {
    // runc warns and goes on; but a flag such as ADDR_NO_RANDOMIZE is meant, one way or the other.
    for (const spec::Reader& flag : flags->items()) {
      throw flag.error(
          fmt::format("unknown personality flag \"{}\": there are none", flag.string()));
    }
  }
  return {.domain = read_domain(field->at("domain"))};
}

void apply(const Plan& plan) {
  if (!plan.domain) return;
  asked_by([] { return "/linux/personality"; },
           [&] {
             try {
               sys::set_personality(*plan.domain);
             } catch (Error& error) {
               // arch/arm64/kernel/sys.c refuses it where no CPU can run 32-bit programs.
               if (error.errno_value() == EINVAL) {
                 error.set_hint("this machine cannot run 32-bit programs");
               }
               throw;
             }
           });
}

void explain(const Plan& plan, Explain& out) {
  if (!plan.domain) return;
  for (const auto& [name, value] : kDomains) {
    if (value == *plan.domain) {
      out.add("personality", fmt::format("set the domain {}", name), "/linux/personality");
    }
  }
}

}  // namespace tare::personality
