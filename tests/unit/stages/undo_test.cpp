#include "stages/undo.hpp"

#include <catch2/catch.hpp>
#include <stdexcept>
#include <string>

#include "tare/error.hpp"

namespace tare::stages {
namespace {

TEST_CASE("what was made last is undone first", "[undo]") {
  std::string done;
  {
    Undo undo;
    for (const char* step : {"a", "b", "c"}) undo.add([&done, step] { done += step; });
    CHECK(done.empty());
  }
  CHECK(done == "cba");
}

TEST_CASE("what was committed is not undone, and what came after is", "[undo]") {
  std::string done;
  {
    Undo undo;
    undo.add([&] { done += "kept"; });
    undo.commit();
    undo.add([&] { done += "later"; });
  }
  CHECK(done == "later");
}

TEST_CASE("a step that fails, with whatever, does not keep the others from running", "[undo]") {
  std::string done;
  {
    Undo undo;
    undo.add([&] { done += "a"; });
    undo.add([] { throw Error(ErrorKind::system, "cannot"); });
    undo.add([&] { done += "b"; });
    undo.add([] { throw std::runtime_error("cannot"); });
    undo.add([&] { done += "c"; });
  }
  CHECK(done == "cba");
}

TEST_CASE("the error that began the rollback is the one that is told", "[undo]") {
  const auto command = [] {
    Undo undo;
    undo.add([] { throw Error(ErrorKind::system, "of the rollback"); });
    throw Error(ErrorKind::spec, "of the command");
  };
  CHECK_THROWS_WITH(command(), "of the command");
}

TEST_CASE("a step that adds a step has it run too, and no step runs twice", "[undo]") {
  std::string done;
  {
    Undo undo;
    undo.add([&] { done += "first"; });
    undo.add([&] {
      // Enough of them to move the whole list elsewhere while this one runs.
      for (int step = 0; step < 100; ++step) undo.add([&] { done += "."; });
      done += "last";
    });
  }
  CHECK(done == "last" + std::string(100, '.') + "first");
}

TEST_CASE("steps that moved elsewhere are undone there and once", "[undo]") {
  std::string done;
  {
    Undo first;
    first.add([&] { done += "a"; });
    {
      Undo second = std::move(first);
      second.add([&] { done += "b"; });
    }
    CHECK(done == "ba");
  }
  CHECK(done == "ba");
}

}  // namespace
}  // namespace tare::stages
