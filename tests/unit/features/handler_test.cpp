#include "features/handler.hpp"

#include <unistd.h>

#include <catch2/catch.hpp>

#include "../../scratch.hpp"
#include "sys/file.hpp"

namespace tare::handler {
namespace {

Spec read_text(const std::string& text) {
  const spec::Document document("config.json", text);
  return read(document.top());
}

Spec read_one(const std::string& name, const std::string& value) {
  return read_text(R"({"annotations": {")" + name + "\": " + value + "}}");
}

// What opening a file as a handler fails with, or "no error".
std::string fault_of(const std::string& path) {
  try {
    open_in_parent({.name = "x", .path = path, .pointer = "/p"}, true);
  } catch (const Error& error) {
    CHECK(error.kind() == ErrorKind::unsupported);
    CHECK(error.field() == "/p");
    return error.message();
  }
  return "no error";
}

TEST_CASE("handler: none is asked for where no annotation names one", "[handler]") {
  for (const char* text : {"{}", R"({"annotations": {}})", R"({"annotations": {"a": "wasm"}})",
                           R"({"annotations": {"module.wasm.image/variant": "other"}})"}) {
    INFO(text);
    CHECK(read_text(text) == Spec{});
  }
  CHECK(plan({}, {"app.wasm"}) == Plan{});
}

TEST_CASE("handler: the annotations name one", "[handler]") {
  const std::string by_name = "/annotations/run.oci.handler";
  const std::string by_variant = "/annotations/module.wasm.image~1variant";
  CHECK(read_one("run.oci.handler", R"("spin")") == Spec{"spin", false, by_name});
  CHECK(read_one("run.oci.handler", R"("wasm-smart")") == Spec{"wasm", true, by_name});
  CHECK(read_one("module.wasm.image/variant", R"("compat")") == Spec{"wasm", false, by_variant});
  CHECK(read_one("module.wasm.image/variant", R"("compat-smart")") ==
        Spec{"wasm", true, by_variant});
}

TEST_CASE("handler: a name that is no file name is refused", "[handler]") {
  for (const std::string value :
       {R"("")", R"(".")", R"("..")", R"("a/b")", R"("/x")", "7", "[]", R"("a\u0000b")"}) {
    INFO(value);
    try {
      read_one("run.oci.handler", value);
      FAIL("was taken");
    } catch (const Error& error) {
      CHECK(error.kind() == ErrorKind::spec);
      CHECK(error.field() == "/annotations/run.oci.handler");
    }
  }
  CHECK_THROWS_AS(read_one("run.oci.handler", "\"" + std::string(1U << 20U, 'x') + "\""), Error);
}

TEST_CASE("handler: a smart one is only for WebAssembly", "[handler]") {
  const Plan wasm{.name = "wasm", .path = "/etc/tare/handlers/wasm", .pointer = "/p"};
  CHECK(plan({"wasm", false, "/p"}, {"/bin/sh"}) == wasm);
  CHECK(plan({"wasm", true, "/p"}, {"/app.wasm", "x"}) == wasm);
  CHECK(plan({"wasm", true, "/p"}, {"a.wat"}) == wasm);
  CHECK(plan({"wasm", true, "/p"}, {"/bin/sh", "a.wasm"}) == Plan{});
  CHECK(plan({"wasm", true, "/p"}, {}) == Plan{});
}

TEST_CASE("handler: what cannot be executed in a container is refused", "[handler]") {
  const test::Scratch scratch;
  CHECK(fault_of(scratch.path("none")).ends_with("does not exist"));
  CHECK(fault_of(scratch.path()).ends_with("is no regular file"));
  CHECK(fault_of(scratch.write("plain",
                               "\x7f"
                               "ELF",
                               0644))
            .ends_with("is not executable"));
  CHECK(fault_of(scratch.write("script", "#!/bin/sh\n", 0755)).find("no ELF") != std::string::npos);
  CHECK(fault_of(scratch.write("empty", "", 0755)).find("no ELF") != std::string::npos);
  CHECK(fault_of(scratch.write("short",
                               "\x7f"
                               "ELF\x02",
                               0755))
            .ends_with("is no 64-bit ELF executable"));
  CHECK(fault_of("/bin/sh").find("is not static") != std::string::npos);
}

TEST_CASE("handler: headers that lie about where they are do no harm", "[handler]") {
  const test::Scratch scratch;
  const std::string good = sys::read_file(sys::FdRef::cwd(), "/bin/sh", 8U << 20U).substr(0, 4096);
  for (const std::size_t at : {39U, 54U, 56U, 57U}) {
    INFO(at);
    std::string bad = good;
    bad[at] = '\xff';
    CHECK(fault_of(scratch.write("bad", bad, 0755)) != "no error");
  }
  CHECK(fault_of(scratch.write("cut", good.substr(0, 70), 0755)).ends_with("damaged ELF header"));
}

TEST_CASE("handler: it is explained with its annotation", "[handler]") {
  Explain out;
  explain({}, out);
  CHECK(out.effects().empty());
  explain({.name = "spin", .path = "/h/spin", .pointer = "/p"}, out);
  REQUIRE(out.effects().size() == 1);
  CHECK(out.effects()[0].text ==
        "execute /h/spin of the host, as spin, in place of the process's program");
  CHECK(out.effects()[0].field == "/p");
}

}  // namespace
}  // namespace tare::handler
